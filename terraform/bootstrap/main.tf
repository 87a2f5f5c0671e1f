data "aws_caller_identity" "current" {}

# The state of every environment; envs/<environment>.s3.tfbackend names it.
module "state" {
  source = "../modules/storage"

  bucket_name         = "${var.name_prefix}-state-${data.aws_caller_identity.current.account_id}"
  eventbridge_enabled = false
}

# One repository for all environments: an image is built once and goes from one to the next under its tag.
module "image_repository" {
  source = "../modules/ecr_repository"

  name = var.name_prefix
}
