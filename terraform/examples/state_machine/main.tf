data "aws_caller_identity" "current" {}

locals {
  greet_arn = "arn:aws:lambda:us-east-1:${data.aws_caller_identity.current.account_id}:function:my-team-greet"
}

data "aws_iam_policy_document" "greeting" {
  statement {
    actions   = ["lambda:InvokeFunction"]
    resources = [local.greet_arn]
  }
}

module "state_machine" {
  source = "../../modules/state_machine"

  name        = "my-team-greeting"
  account_id  = data.aws_caller_identity.current.account_id
  aws_region  = "us-east-1"
  policy_json = data.aws_iam_policy_document.greeting.json

  definition = jsonencode({
    StartAt = "Greet"
    States = {
      Greet = {
        Type     = "Task"
        Resource = local.greet_arn
        End      = true
      }
    }
  })
}
