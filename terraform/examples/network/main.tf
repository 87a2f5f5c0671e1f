data "aws_caller_identity" "current" {}

module "network" {
  source = "../../modules/network"

  name       = "my-team"
  account_id = data.aws_caller_identity.current.account_id
  aws_region = "us-east-1"
}
