data "aws_caller_identity" "current" {}

module "dead_letter_queue" {
  source = "../../modules/dead_letter_queue"

  name       = "my-team-dead-letters"
  account_id = data.aws_caller_identity.current.account_id
  aws_region = "us-east-1"
}
