# Settings that cannot work are refused before anything is planned, each by its own variable: a run passes only when
# all of those that it names object.

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

override_data {
  target = module.network[0].data.aws_availability_zones.available
  values = { names = ["us-east-1a", "us-east-1b"] }
}

# Their plan would ask Step Functions to look at the definition.
override_resource {
  target = module.active_learning_loop.aws_sfn_state_machine.this
}

override_resource {
  target = module.label_audit.aws_sfn_state_machine.this
}

run "values_that_cannot_work" {
  command = plan

  variables {
    # One character too many for the names that are made of it.
    name_prefix         = "a-prefix-with-33-characters-is-it"
    image_tag           = "latest"
    allowed_account_ids = []
    input_buckets       = ["s3://my-images"]
    # An alias; policies need the key itself.
    kms_key_arn = "arn:aws:kms:us-east-1:111122223333:alias/my-key"
    existing    = { job_queue_arn = "arn:aws:batch:another-region-1:111122223333:job-queue/team-jobs" }
  }

  expect_failures = [
    var.allowed_account_ids,
    var.existing,
    var.image_tag,
    var.input_buckets,
    var.kms_key_arn,
    var.name_prefix,
  ]
}

run "values_that_do_not_go_together" {
  command = plan

  variables {
    # Two keys, nobody who labels, and a network without a way to the image.
    create_kms_key = true
    kms_key_arn    = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000"
    workforce      = null
    network        = null
    existing       = { image_repository_arn = "arn:aws:ecr:another-region-1:111122223333:repository/truthloop" }
  }

  expect_failures = [var.create_kms_key, var.network, var.workforce]
}

run "names_that_aws_would_refuse" {
  command = plan

  variables {
    name_prefix   = "Labels"
    image_tag     = "feature/new"
    input_buckets = []
    existing      = { image_repository_arn = "111122223333.dkr.ecr.us-east-1.amazonaws.com/truthloop" }
  }

  expect_failures = [var.existing, var.image_tag, var.input_buckets, var.name_prefix]
}

run "a_team_that_audits_its_own_labels" {
  command = plan

  variables {
    existing = {
      auditors_workteam_arn = "arn:aws:sagemaker:us-east-1:111122223333:workteam/private-crowd/team"
      workteam_arn          = "arn:aws:sagemaker:us-east-1:111122223333:workteam/private-crowd/team"
    }
  }

  expect_failures = [var.existing]
}

run "a_group_that_audits_its_own_labels" {
  command = plan

  variables {
    existing  = {}
    workforce = { user_pool = "us-east-1_EXAMPLE", client_id = "client", user_group = "team", auditor_user_group = "team" }
  }

  expect_failures = [var.workforce]
}

run "more_than_all_labels" {
  command = plan

  variables {
    standalone_audits = { job_name_prefix = "roads-", policy = { random_share = 1.5 } }
  }

  expect_failures = [var.standalone_audits]
}

run "an_audit_of_nothing" {
  command = plan

  variables {
    standalone_audits = { job_name_prefix = "roads-", policy = { policy = "none" } }
  }

  expect_failures = [var.standalone_audits]
}

run "a_share_of_an_auditor" {
  command = plan

  variables {
    standalone_audits = { job_name_prefix = "roads-", policy = { auditors_per_object = 1.5 } }
  }

  expect_failures = [var.standalone_audits]
}

run "stand_alone_audits_without_auditors" {
  command = plan

  variables {
    existing          = {}
    workforce         = { user_pool = "us-east-1_EXAMPLE", client_id = "client", user_group = "team" }
    standalone_audits = { job_name_prefix = "roads-" }
  }

  expect_failures = [var.standalone_audits]
}
