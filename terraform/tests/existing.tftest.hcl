# What a team has already takes the place of what the stack would make, in the rights too.

provider "aws" {
  region                      = var.aws_region
  access_key                  = "AKIAEXAMPLEEXAMPLE"
  secret_key                  = "nobody-is-asked"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
}

variables {
  image_tag = "3f2a9c1"
}

override_data {
  target = data.aws_caller_identity.current
  values = { account_id = "111122223333" }
}

# Their plan would ask Step Functions to look at the definition.
override_resource {
  target = module.active_learning_loop.aws_sfn_state_machine.this
}

override_resource {
  target = module.label_audit.aws_sfn_state_machine.this
}

run "existing_things" {
  command = plan

  variables {
    existing = {
      auditors_workteam_arn = "arn:aws:sagemaker:us-east-1:111122223333:workteam/private-crowd/auditors"
      data_bucket_name      = "team-data"
      dead_letter_queue_arn = "arn:aws:sqs:us-east-1:111122223333:team-dead-letters"
      image_repository_arn  = "arn:aws:ecr:eu-west-1:444455556666:repository/team/program"
      job_queue_arn         = "arn:aws:batch:us-east-1:111122223333:job-queue/team-jobs"
      workteam_arn          = "arn:aws:sagemaker:us-east-1:111122223333:workteam/private-crowd/team"
    }
    workforce = null
    network   = { vpc_id = "vpc-0123456789abcdef0", subnet_ids = ["subnet-0123456789abcdef0"] }
  }

  assert {
    condition     = length(module.storage) == 0 && length(module.dead_letter_queue) == 0
    error_message = "What exists must not be made again."
  }

  assert {
    condition     = output.ecr_repository_url == "444455556666.dkr.ecr.eu-west-1.amazonaws.com/team/program"
    error_message = "The image's address must follow from the repository's ARN."
  }

  assert {
    condition = (
      [output.auditors_workteam_arn, output.data_bucket_name, output.dead_letter_queue_arn, output.job_queue_arn, output.workteam_arn]
      == [var.existing.auditors_workteam_arn, var.existing.data_bucket_name, var.existing.dead_letter_queue_arn, var.existing.job_queue_arn, var.existing.workteam_arn]
    )
    error_message = "The outputs must name what exists."
  }

  assert {
    condition     = strcontains(data.aws_iam_policy_document.active_learning_loop.json, "\"arn:aws:batch:us-east-1:111122223333:job-queue/team-jobs\"")
    error_message = "The state machine must be able to submit to the queue that exists."
  }

  assert {
    condition     = strcontains(data.aws_iam_policy_document.prepare.json, "\"arn:aws:s3:::team-data/campaigns/*\"") && !strcontains(data.aws_iam_policy_document.prepare.json, "${var.name_prefix}-data")
    error_message = "The functions must work on the bucket that exists."
  }
}

run "auditors_beside_an_existing_team" {
  command = plan

  variables {
    existing = {
      workteam_arn = "arn:aws:sagemaker:us-east-1:111122223333:workteam/private-crowd/team"
    }
    workforce = { user_pool = "us-east-1_EXAMPLE", client_id = "client", user_group = "team", auditor_user_group = "seniors" }
    network   = { vpc_id = "vpc-0123456789abcdef0", subnet_ids = ["subnet-0123456789abcdef0"] }
  }

  assert {
    condition     = module.labeling.workteam_arn == null && output.workteam_arn == var.existing.workteam_arn
    error_message = "The team that exists must be the one that labels, and none may be made in its place."
  }

  assert {
    condition     = local.functions.start_audit.environment.AUDITORS_WORKTEAM_ARN == "arn:aws:sagemaker:us-east-1:111122223333:workteam/private-crowd/${var.name_prefix}-auditors"
    error_message = "A user group of auditors must become a team, whoever labels."
  }
}

run "nobody_audits" {
  command = plan

  variables {
    existing          = {}
    workforce         = { user_pool = "us-east-1_EXAMPLE", client_id = "client", user_group = "team" }
    network           = { vpc_id = "vpc-0123456789abcdef0", subnet_ids = ["subnet-0123456789abcdef0"] }
    standalone_audits = {}
  }

  assert {
    condition     = output.auditors_workteam_arn == null && local.functions.start_audit.environment.AUDITORS_WORKTEAM_ARN == ""
    error_message = "Without a group of auditors there must be no team of theirs."
  }
}
