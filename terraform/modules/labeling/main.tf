# An account has one private workforce per region, so the team joins the one that exists.
resource "aws_sagemaker_workteam" "this" {
  count = var.workforce == null ? 0 : 1

  workteam_name = var.workteam_name
  description   = var.workteam_description
  tags          = var.tags

  member_definition {
    cognito_member_definition {
      user_pool  = var.workforce.user_pool
      client_id  = var.workforce.client_id
      user_group = var.workforce.user_group
    }
  }
}

resource "aws_s3_object" "template" {
  for_each = var.template_paths

  bucket       = var.bucket_name
  key          = "templates/${each.key}/template.liquid.html"
  source       = each.value
  source_hash  = filemd5(each.value)
  content_type = "text/html; charset=utf-8"
  tags         = var.tags
}
