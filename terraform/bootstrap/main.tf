data "aws_caller_identity" "current" {}

# The state of every environment of the account; envs/<environment>.s3.tfbackend names it. A state holds everything that
# Terraform knows, so the bucket is private, versioned and never destroyed with anything in it.
module "state" {
  source = "../modules/storage"

  bucket_name         = "${var.name_prefix}-state-${data.aws_caller_identity.current.account_id}"
  eventbridge_enabled = false
  force_destroy       = false
  kms_key_arn         = var.kms_key_arn
}

# One repository for all environments of the account: an image is built once and goes from one to the next under its tag.
module "image_repository" {
  source = "../modules/ecr_repository"

  name        = var.name_prefix
  kms_key_arn = var.kms_key_arn
}
