data "aws_caller_identity" "current" {}

data "aws_iam_policy_document" "labeling" {
  statement {
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${module.pictures.bucket_arn}/*"]
  }
}

module "pictures" {
  source = "../../modules/storage"

  bucket_name          = "my-team-pictures"
  cors_allowed_origins = ["*"]
}

module "labeling" {
  source = "../../modules/labeling"

  account_id     = data.aws_caller_identity.current.account_id
  bucket_name    = module.pictures.bucket_name
  role_name      = "my-team-labelling"
  policy_json    = data.aws_iam_policy_document.labeling.json
  template_paths = { image-classification = "${path.module}/roads.liquid.html" }

  workforce = {
    user_pool          = "us-east-1_AbCdEfGhI"
    client_id          = "1example23456789"
    user_group         = "labelers"
    auditor_user_group = "auditors"
  }

  workteam_name                 = "my-team-labelers"
  workteam_description          = "Labels pictures of roads."
  auditors_workteam_name        = "my-team-auditors"
  auditors_workteam_description = "Audits the labels of pictures of roads."
}
