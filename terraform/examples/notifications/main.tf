data "aws_caller_identity" "current" {}

module "notifications" {
  source = "../../modules/notifications"

  name       = "my-team-notifications"
  account_id = data.aws_caller_identity.current.account_id
  aws_region = "us-east-1"
  emails     = ["team@example.com"]
}
