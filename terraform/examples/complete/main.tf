data "aws_caller_identity" "current" {}

# Before: `make build` fills dist/, `make bootstrap` makes the image's repository, `make image-push` the image.
module "truthloop" {
  source = "../.."

  # Write your account's id here: an apply with another account's credentials then stops before it changes anything.
  allowed_account_ids = [data.aws_caller_identity.current.account_id]
  aws_region          = "us-east-1"
  name_prefix         = "my-team-labelling"
  image_tag           = "3f2a9c1"
  input_buckets       = ["my-team-pictures"]
  notification_emails = ["team@example.com"]

  # The tables and a bucket with objects refuse to be destroyed; apply with false before you destroy the stack.
  protect_data   = true
  create_kms_key = true

  # Spot capacity costs less, and a job whose host is reclaimed starts again.
  batch = {
    compute_type = "FARGATE_SPOT"
    max_vcpus    = 32
    job          = { vcpus = 2, memory_mib = 8192 }
  }

  workforce = {
    user_pool          = "us-east-1_AbCdEfGhI"
    client_id          = "1example23456789"
    user_group         = "labelers"
    auditor_user_group = "auditors"
  }

  # Labelling jobs whose name begins so are audited too, without a campaign.
  standalone_audits = { job_name_prefix = "roads-" }

  tags = { CostCentre = "4711" }
}

output "state_machine_arn" {
  description = "ARN of the state machine that runs a campaign."
  value       = module.truthloop.state_machine_arn
}
