data "aws_caller_identity" "current" {}

module "kms_key" {
  source = "../../modules/kms_key"

  alias_name = "my-team-labelling"
  account_id = data.aws_caller_identity.current.account_id
  aws_region = "us-east-1"
}
