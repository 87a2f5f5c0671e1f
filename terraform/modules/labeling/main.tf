locals {
  user_group         = try(var.workforce.user_group, null)
  auditor_user_group = try(var.workforce.auditor_user_group, null)
}

# An account has one private workforce per region, so the teams join the one that exists.
resource "aws_sagemaker_workteam" "this" {
  count = local.user_group == null ? 0 : 1

  workteam_name = var.workteam_name
  description   = var.workteam_description
  tags          = var.tags

  member_definition {
    cognito_member_definition {
      user_pool  = var.workforce.user_pool
      client_id  = var.workforce.client_id
      user_group = local.user_group
    }
  }
}

# Who audits must not have labelled, hence a team of their own.
resource "aws_sagemaker_workteam" "auditors" {
  count = local.auditor_user_group == null ? 0 : 1

  workteam_name = var.auditors_workteam_name
  description   = var.auditors_workteam_description
  tags          = var.tags

  member_definition {
    cognito_member_definition {
      user_pool  = var.workforce.user_pool
      client_id  = var.workforce.client_id
      user_group = local.auditor_user_group
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
