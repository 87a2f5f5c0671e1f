# The whole stack of an environment, planned without a network: the AWS provider is the real one, so names, policy
# documents and definitions are those that AWS would get. Only what AWS itself would answer is said here, for an
# account that does not exist. `scripts/truthloop_cli/rendered.py` takes the plan of the run `stack`.

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

# ---- what other things name in a document by an ARN or id that AWS gives ---------------------------------------------

override_resource {
  target = module.batch.aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:batch" }
}

override_resource {
  target = module.batch.aws_iam_role.execution
  values = { arn = "arn:aws:iam::111122223333:role/batch-execution" }
}

override_resource {
  target = module.batch.aws_iam_role.job
  values = { arn = "arn:aws:iam::111122223333:role/batch-job" }
}

override_resource {
  target = module.dead_letter_queue[0].aws_sqs_queue.this
  values = { arn = "arn:aws:sqs:us-east-1:111122223333:dead-letters" }
}

override_resource {
  target = module.kms_key[0].aws_kms_key.this
  values = { arn = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000" }
}

override_resource {
  target = module.network[0].aws_cloudwatch_log_group.flow_logs
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:flow-logs" }
}

override_resource {
  target = module.storage[0].aws_s3_bucket.this
  values = { arn = "arn:aws:s3:::data", id = "data" }
}

override_resource {
  target = module.function["advance_audit"].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:advance_audit" }
}

override_resource {
  target = module.function["create_labeling_job"].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:create_labeling_job" }
}

override_resource {
  target = module.function["decide"].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:decide" }
}

override_resource {
  target = module.function["finish_audit"].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:finish_audit" }
}

override_resource {
  target = module.function["merge_audit"].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:merge_audit" }
}

override_resource {
  target = module.function["merge_labels"].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:merge_labels" }
}

override_resource {
  target = module.function["post_annotation"].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:post_annotation" }
}

override_resource {
  target = module.function["pre_annotation"].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:pre_annotation" }
}

override_resource {
  target = module.function["preflight"].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:preflight" }
}

override_resource {
  target = module.function["prepare"].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:prepare" }
}

override_resource {
  target = module.function["reconcile_labeling_jobs"].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:reconcile_labeling_jobs" }
}

override_resource {
  target = module.function["record_activity"].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:record_activity" }
}

override_resource {
  target = module.function["record_answers"].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:record_answers" }
}

override_resource {
  target = module.function["record_outcome"].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:record_outcome" }
}

override_resource {
  target = module.function["release_labeling_job"].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:release_labeling_job" }
}

override_resource {
  target = module.function["start_audit"].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:start_audit" }
}

# A document that names a thing which is yet to be made stays unknown. So these are "made" first, in memory: nothing
# but what is overridden above.
run "what_aws_gives" {
  plan_options {
    target = [
      module.batch.aws_cloudwatch_log_group.this,
      module.batch.aws_iam_role.execution,
      module.batch.aws_iam_role.job,
      module.dead_letter_queue[0].aws_sqs_queue.this,
      module.function["advance_audit"].aws_cloudwatch_log_group.this,
      module.function["create_labeling_job"].aws_cloudwatch_log_group.this,
      module.function["decide"].aws_cloudwatch_log_group.this,
      module.function["finish_audit"].aws_cloudwatch_log_group.this,
      module.function["merge_audit"].aws_cloudwatch_log_group.this,
      module.function["merge_labels"].aws_cloudwatch_log_group.this,
      module.function["post_annotation"].aws_cloudwatch_log_group.this,
      module.function["pre_annotation"].aws_cloudwatch_log_group.this,
      module.function["preflight"].aws_cloudwatch_log_group.this,
      module.function["prepare"].aws_cloudwatch_log_group.this,
      module.function["reconcile_labeling_jobs"].aws_cloudwatch_log_group.this,
      module.function["record_activity"].aws_cloudwatch_log_group.this,
      module.function["record_answers"].aws_cloudwatch_log_group.this,
      module.function["record_outcome"].aws_cloudwatch_log_group.this,
      module.function["release_labeling_job"].aws_cloudwatch_log_group.this,
      module.function["start_audit"].aws_cloudwatch_log_group.this,
      module.kms_key[0].aws_kms_key.this,
      module.network[0].aws_cloudwatch_log_group.flow_logs,
      module.storage[0].aws_s3_bucket.this,
    ]
  }
}

run "stack" {
  command = plan

  assert {
    condition = alltrue([
      for document in [
        data.aws_iam_policy_document.active_learning_loop,
        data.aws_iam_policy_document.advance_audit,
        data.aws_iam_policy_document.batch_job,
        data.aws_iam_policy_document.create_labeling_job,
        data.aws_iam_policy_document.decide,
        data.aws_iam_policy_document.finish_audit,
        data.aws_iam_policy_document.label_audit,
        data.aws_iam_policy_document.labeling,
        data.aws_iam_policy_document.merge_audit,
        data.aws_iam_policy_document.merge_labels,
        data.aws_iam_policy_document.post_annotation,
        data.aws_iam_policy_document.pre_annotation,
        data.aws_iam_policy_document.preflight,
        data.aws_iam_policy_document.prepare,
        data.aws_iam_policy_document.reconcile_labeling_jobs,
        data.aws_iam_policy_document.record_activity,
        data.aws_iam_policy_document.record_answers,
        data.aws_iam_policy_document.record_outcome,
        data.aws_iam_policy_document.release_labeling_job,
        data.aws_iam_policy_document.start_audit,
      ] :
      alltrue([
        for action in flatten(jsondecode(document.json).Statement[*].Action) : can(regex("^[a-z0-9-]+:[A-Za-z]+$", action))
      ])
    ])
    error_message = "Every action must be spelled out: no role may do what nobody has named."
  }

  assert {
    condition = [
      for statement in jsondecode(data.aws_iam_policy_document.create_labeling_job.json).Statement :
      [statement.Resource, statement.Condition] if contains(flatten([statement.Action]), "iam:PassRole")
      ] == [[
        "arn:aws:iam::111122223333:role/${var.name_prefix}-labeling",
        { StringEquals = { "iam:PassedToService" = "sagemaker.amazonaws.com" } },
    ]]
    error_message = "The function that creates labelling jobs must be able to pass the labelling role alone, and to SageMaker alone."
  }

  assert {
    condition = alltrue([
      for resource in flatten([
        for statement in jsondecode(data.aws_iam_policy_document.batch_job.json).Statement :
        statement.Resource if contains(flatten([statement.Action]), "s3:PutObject")
      ]) : startswith(resource, "${local.arns.data_bucket}/campaigns/*/")
    ])
    error_message = "The Batch program must write into folders of campaigns alone."
  }

  assert {
    condition = alltrue([
      for resource in flatten([
        for statement in jsondecode(data.aws_iam_policy_document.labeling.json).Statement :
        statement.Resource if contains(flatten([statement.Action]), "s3:PutObject")
      ]) : contains(["campaigns/*/labeling/*", "campaigns/*/audits/*/jobs/*", "audits/*/jobs/*"], trimprefix(resource, "${local.arns.data_bucket}/"))
    ])
    error_message = "Ground Truth must write into the folders of labelling jobs and of audits' jobs alone."
  }

  assert {
    condition = alltrue([
      for arn in flatten([
        for statement in concat(
          jsondecode(data.aws_iam_policy_document.active_learning_loop.json).Statement,
          jsondecode(data.aws_iam_policy_document.label_audit.json).Statement,
        ) :
        statement.Resource if contains(flatten([statement.Action]), "lambda:InvokeFunction")
      ]) : contains([for function in module.function : "arn:aws:lambda:${var.aws_region}:111122223333:function:${function.function_name}"], arn)
    ])
    error_message = "The state machines must invoke functions of this stack alone."
  }

  assert {
    condition = [
      for statement in jsondecode(data.aws_iam_policy_document.start_audit.json).Statement :
      statement.Resource if contains(flatten([statement.Action]), "states:StartExecution")
    ] == ["arn:aws:states:${var.aws_region}:111122223333:stateMachine:${var.name_prefix}-label-audit"]
    error_message = "An audit must be the only thing that the function which starts audits can start."
  }

  assert {
    condition = alltrue([
      for bucket in var.input_buckets :
      strcontains(data.aws_iam_policy_document.advance_audit.json, "arn:aws:s3:::${bucket}/*") == (var.standalone_audits.job_name_prefix != null)
    ])
    error_message = "Audits must read the input buckets where stand-alone jobs are audited, and nowhere else."
  }

  assert {
    condition     = jsondecode(local.functions.start_audit.environment.STANDALONE_AUDITS).policy == { policy = "sample" }
    error_message = "What is not said about stand-alone audits must be left to the code's defaults."
  }

  assert {
    condition     = output.ecr_repository_url == "111122223333.dkr.ecr.${var.aws_region}.amazonaws.com/${var.image_repository_name}"
    error_message = "The image must come from the repository of the stack's account and region."
  }
}
