# What each role may do, one document per role; the modules add what every role of their kind needs (logs, traces, the
# dead-letter queue, the KMS key).

# ---- shared parts ---------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "read_inputs" {
  statement {
    sid       = "ReadInputs"
    actions   = ["s3:GetObject"]
    resources = [for arn in local.arns.input_buckets : "${arn}/*"]
  }

  statement {
    sid = "TellMissingInputsFromRefusedOnes"
    # Without it S3 answers 403 for an object that doesn't exist, as for one that may not be read.
    actions   = ["s3:ListBucket"]
    resources = local.arns.input_buckets
  }
}

# A row may name the version of its object.
data "aws_iam_policy_document" "read_input_versions" {
  statement {
    sid       = "ReadInputVersions"
    actions   = ["s3:GetObjectVersion"]
    resources = [for arn in local.arns.input_buckets : "${arn}/*"]
  }
}

data "aws_iam_policy_document" "read_campaigns" {
  statement {
    sid       = "ReadCampaigns"
    actions   = ["s3:GetObject"]
    resources = ["${local.arns.data_bucket}/campaigns/*"]
  }

  statement {
    sid = "ListCampaigns"
    # On the whole bucket: without it S3 answers 403 for an object that doesn't exist, as for one that may not be read,
    # and that question names no prefix which a condition could allow.
    actions   = ["s3:ListBucket"]
    resources = [local.arns.data_bucket]
  }
}

# The audits of stand-alone jobs; those of a campaign's rounds are among the campaign's.
data "aws_iam_policy_document" "read_audits" {
  statement {
    sid       = "ReadAudits"
    actions   = ["s3:GetObject"]
    resources = ["${local.arns.data_bucket}/audits/*"]
  }
}

data "aws_iam_policy_document" "write_audits" {
  statement {
    sid       = "WriteAudits"
    actions   = ["s3:PutObject"]
    resources = ["${local.arns.data_bucket}/audits/*", "${local.arns.data_bucket}/campaigns/*/audits/*"]
  }
}

# Nothing where stand-alone jobs are not audited.
data "aws_iam_policy_document" "read_standalone_jobs" {
  dynamic "statement" {
    for_each = local.standalone_buckets

    content {
      sid       = "ReadStandaloneJobs"
      actions   = ["s3:GetObject"]
      resources = [for arn in statement.value : "${arn}/*"]
    }
  }

  dynamic "statement" {
    for_each = local.standalone_buckets

    content {
      sid = "ListStandaloneJobs"
      # Their answers are found by their folder; and without it S3 answers 403 for an object that doesn't exist.
      actions   = ["s3:ListBucket"]
      resources = statement.value
    }
  }
}

# ---- functions of the state machines --------------------------------------------------------------------------------

data "aws_iam_policy_document" "preflight" {
  source_policy_documents = [
    data.aws_iam_policy_document.read_inputs.json,
    data.aws_iam_policy_document.read_input_versions.json,
    data.aws_iam_policy_document.read_campaigns.json,
  ]

  statement {
    sid       = "LookAtInputBuckets"
    actions   = ["s3:GetBucketCORS", "s3:GetBucketLocation"]
    resources = local.arns.input_buckets
  }

  statement {
    sid       = "LookAtTemplates"
    actions   = ["s3:GetObject"]
    resources = ["${local.arns.data_bucket}/templates/*"]
  }

  statement {
    sid     = "LookAtWorkTeams"
    actions = ["sagemaker:DescribeWorkteam"]
    # A request may name another team than the stack's.
    resources = [local.arns.workteams]
  }
}

data "aws_iam_policy_document" "prepare" {
  source_policy_documents = [
    data.aws_iam_policy_document.read_inputs.json,
    data.aws_iam_policy_document.read_campaigns.json,
  ]

  statement {
    sid       = "WriteCampaigns"
    actions   = ["s3:PutObject"]
    resources = ["${local.arns.data_bucket}/campaigns/*"]
  }

  statement {
    sid       = "BookCampaign"
    actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
    resources = [local.arns.ledger_table]
  }
}

data "aws_iam_policy_document" "create_labeling_job" {
  source_policy_documents = [
    data.aws_iam_policy_document.read_campaigns.json,
    data.aws_iam_policy_document.read_audits.json,
  ]

  statement {
    sid     = "CreateLabelingJobs"
    actions = ["sagemaker:CreateLabelingJob", "sagemaker:DescribeLabelingJob"]
    # A job's name begins with the campaign's or the audit's.
    resources = [local.arns.labeling_jobs]
  }

  statement {
    sid       = "PassLabelingRole"
    actions   = ["iam:PassRole"]
    resources = [local.arns.labeling_role]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["sagemaker.amazonaws.com"]
    }
  }

  statement {
    sid       = "StoreTaskToken"
    actions   = ["dynamodb:UpdateItem"]
    resources = [local.arns.jobs_table]
  }

  statement {
    sid = "ResumeWhenNothingIsToBeDone"
    # Nothing is to be labelled, or the job exists and has ended.
    actions   = ["states:SendTaskFailure", "states:SendTaskSuccess"]
    resources = [local.arns.audit_state_machine, local.arns.state_machine]
  }
}

data "aws_iam_policy_document" "merge_labels" {
  source_policy_documents = [data.aws_iam_policy_document.read_campaigns.json]

  statement {
    sid       = "WriteLabels"
    actions   = ["s3:PutObject"]
    resources = ["${local.arns.data_bucket}/campaigns/*/manifest/*", "${local.arns.data_bucket}/campaigns/*/rounds/*"]
  }

  statement {
    sid       = "ReadJobs"
    actions   = ["dynamodb:GetItem"]
    resources = [local.arns.jobs_table]
  }
}

data "aws_iam_policy_document" "start_audit" {
  source_policy_documents = [
    data.aws_iam_policy_document.read_campaigns.json,
    data.aws_iam_policy_document.read_audits.json,
    data.aws_iam_policy_document.write_audits.json,
    data.aws_iam_policy_document.read_standalone_jobs.json,
  ]

  statement {
    sid     = "AskForTheJob"
    actions = ["sagemaker:DescribeLabelingJob"]
    # A job's name begins with the campaign's, and that of a stand-alone one as its makers like.
    resources = [local.arns.labeling_jobs]
  }

  statement {
    sid       = "KeepWhoWaits"
    actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
    resources = [local.arns.jobs_table]
  }

  statement {
    sid       = "StartAudits"
    actions   = ["states:StartExecution"]
    resources = [local.arns.audit_state_machine]
  }

  statement {
    sid = "ResumeWhenNothingIsToBeDone"
    # There is nothing to audit, or an event came first, and the audit was over before the campaign asked for it.
    actions   = ["states:SendTaskSuccess"]
    resources = [local.arns.state_machine]
  }
}

data "aws_iam_policy_document" "advance_audit" {
  source_policy_documents = [
    data.aws_iam_policy_document.read_campaigns.json,
    data.aws_iam_policy_document.read_audits.json,
    data.aws_iam_policy_document.write_audits.json,
    data.aws_iam_policy_document.read_standalone_jobs.json,
  ]
}

data "aws_iam_policy_document" "finish_audit" {
  source_policy_documents = [data.aws_iam_policy_document.read_audits.json]

  statement {
    sid       = "ReadAuditsOfCampaigns"
    actions   = ["s3:GetObject"]
    resources = ["${local.arns.data_bucket}/campaigns/*/audits/*"]
  }

  statement {
    sid       = "FindWhoWaits"
    actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
    resources = [local.arns.jobs_table]
  }

  statement {
    sid       = "ResumeExecution"
    actions   = ["states:SendTaskFailure", "states:SendTaskSuccess"]
    resources = [local.arns.state_machine]
  }

  statement {
    sid       = "Notify"
    actions   = ["sns:Publish"]
    resources = [local.arns.notifications]
  }
}

data "aws_iam_policy_document" "merge_audit" {
  source_policy_documents = [data.aws_iam_policy_document.read_campaigns.json]

  statement {
    sid       = "WriteLabels"
    actions   = ["s3:PutObject"]
    resources = ["${local.arns.data_bucket}/campaigns/*/manifest/*"]
  }
}

data "aws_iam_policy_document" "decide" {
  source_policy_documents = [data.aws_iam_policy_document.read_campaigns.json]

  statement {
    sid       = "WriteDecisions"
    actions   = ["s3:PutObject"]
    resources = ["${local.arns.data_bucket}/campaigns/*/rounds/*"]
  }

  statement {
    sid       = "BookRounds"
    actions   = ["dynamodb:PutItem"]
    resources = [local.arns.ledger_table]
  }
}

data "aws_iam_policy_document" "record_outcome" {
  statement {
    sid       = "BookOutcome"
    actions   = ["dynamodb:UpdateItem"]
    resources = [local.arns.ledger_table]
  }

  statement {
    sid       = "FindTheStateThatFailed"
    actions   = ["states:GetExecutionHistory"]
    resources = [local.arns.executions]
  }

  statement {
    sid       = "Notify"
    actions   = ["sns:Publish"]
    resources = [local.arns.notifications]
  }
}

# ---- functions of events --------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "release_labeling_job" {
  statement {
    sid     = "AskForTheJob"
    actions = ["sagemaker:DescribeLabelingJob"]
    # A job's name begins with the campaign's.
    resources = [local.arns.labeling_jobs]
  }

  statement {
    sid       = "CloseJob"
    actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
    resources = [local.arns.jobs_table]
  }

  statement {
    sid       = "ResumeExecution"
    actions   = ["states:SendTaskFailure", "states:SendTaskSuccess"]
    resources = [local.arns.audit_state_machine, local.arns.state_machine]
  }
}

data "aws_iam_policy_document" "record_answers" {
  statement {
    sid     = "ReadAnswersEvidenceAndVerdicts"
    actions = ["s3:GetObject"]
    resources = [
      "${local.arns.data_bucket}/audits/*",
      "${local.arns.data_bucket}/campaigns/*/audits/*",
      "${local.arns.data_bucket}/campaigns/*/labeling/*",
    ]
  }

  statement {
    sid = "TellMissingFilesFromRefusedOnes"
    # Without it S3 answers 403 for an object that doesn't exist, as for one that may not be read.
    actions   = ["s3:ListBucket"]
    resources = [local.arns.data_bucket]
  }

  statement {
    sid       = "FindJobs"
    actions   = ["dynamodb:GetItem"]
    resources = [local.arns.jobs_table]
  }

  statement {
    sid       = "RecordAnswers"
    actions   = ["dynamodb:BatchWriteItem", "dynamodb:UpdateItem"]
    resources = [local.arns.answers_table]
  }

  statement {
    sid       = "GivePseudonyms"
    actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
    resources = [local.arns.workers_table]
  }
}

data "aws_iam_policy_document" "record_activity" {
  statement {
    sid       = "FindJobs"
    actions   = ["dynamodb:GetItem"]
    resources = [local.arns.jobs_table]
  }

  statement {
    sid       = "RecordActivity"
    actions   = ["dynamodb:UpdateItem"]
    resources = [local.arns.answers_table]
  }

  statement {
    sid       = "GivePseudonyms"
    actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
    resources = [local.arns.workers_table]
  }
}

data "aws_iam_policy_document" "reconcile_labeling_jobs" {
  statement {
    sid     = "AskForJobs"
    actions = ["sagemaker:DescribeLabelingJob"]
    # A job's name begins with the campaign's.
    resources = [local.arns.labeling_jobs]
  }

  statement {
    sid       = "FindOpenJobs"
    actions   = ["dynamodb:Query"]
    resources = ["${local.arns.jobs_table}/index/by-state"]
  }

  statement {
    sid       = "CloseJobs"
    actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
    resources = [local.arns.jobs_table]
  }

  statement {
    sid       = "ResumeExecutions"
    actions   = ["states:SendTaskFailure", "states:SendTaskHeartbeat", "states:SendTaskSuccess"]
    resources = [local.arns.audit_state_machine, local.arns.state_machine]
  }

  statement {
    sid       = "SeeHowAuditsGetOn"
    actions   = ["states:DescribeExecution"]
    resources = [local.arns.audit_executions]
  }
}

# ---- functions of a labelling job -----------------------------------------------------------------------------------

data "aws_iam_policy_document" "pre_annotation" {
  statement {
    sid       = "ReadJobs"
    actions   = ["dynamodb:GetItem"]
    resources = [local.arns.jobs_table]
  }
}

data "aws_iam_policy_document" "post_annotation" {
  # An auditor who corrects a mask begins with the one that is there.
  dynamic "statement" {
    for_each = local.standalone_buckets

    content {
      sid       = "ReadStandaloneMasks"
      actions   = ["s3:GetObject"]
      resources = [for arn in statement.value : "${arn}/*"]
    }
  }

  statement {
    sid       = "ReadJobs"
    actions   = ["dynamodb:GetItem"]
    resources = [local.arns.jobs_table]
  }

  statement {
    sid     = "ReadAnswersAndWhatIsKnown"
    actions = ["s3:GetObject"]
    resources = [
      "${local.arns.data_bucket}/audits/*",
      "${local.arns.data_bucket}/campaigns/*/audits/*",
      "${local.arns.data_bucket}/campaigns/*/gold.manifest",
      "${local.arns.data_bucket}/campaigns/*/labeling/*",
      "${local.arns.data_bucket}/campaigns/*/rounds/*",
    ]
  }

  statement {
    sid     = "WriteMasksAndEvidence"
    actions = ["s3:PutObject"]
    resources = [
      "${local.arns.data_bucket}/audits/*/jobs/*",
      "${local.arns.data_bucket}/campaigns/*/audits/*/jobs/*",
      "${local.arns.data_bucket}/campaigns/*/labeling/*",
    ]
  }

  statement {
    sid = "TellMissingAnswersFromRefusedOnes"
    # Without it S3 answers 403 for an object that doesn't exist, as for one that may not be read.
    actions   = ["s3:ListBucket"]
    resources = [local.arns.data_bucket]
  }
}

# ---- Ground Truth, the Batch program, the state machines ------------------------------------------------------------

data "aws_iam_policy_document" "labeling" {
  source_policy_documents = [
    data.aws_iam_policy_document.read_inputs.json,
    data.aws_iam_policy_document.read_input_versions.json,
  ]

  statement {
    sid     = "ReadSelectionAndTemplate"
    actions = ["s3:GetObject"]
    resources = [
      "${local.arns.data_bucket}/audits/*",
      "${local.arns.data_bucket}/campaigns/*",
      "${local.arns.data_bucket}/templates/*",
    ]
  }

  statement {
    sid     = "WriteOutput"
    actions = ["s3:AbortMultipartUpload", "s3:PutObject"]
    resources = [
      "${local.arns.data_bucket}/audits/*/jobs/*",
      "${local.arns.data_bucket}/campaigns/*/audits/*/jobs/*",
      "${local.arns.data_bucket}/campaigns/*/labeling/*",
    ]
  }

  statement {
    sid       = "LookAtDataBucket"
    actions   = ["s3:GetBucketLocation", "s3:ListBucket"]
    resources = [local.arns.data_bucket]
  }

  statement {
    sid       = "LookAtInputBuckets"
    actions   = ["s3:GetBucketLocation"]
    resources = local.arns.input_buckets
  }

  statement {
    sid       = "CallAnnotationFunctions"
    actions   = ["lambda:InvokeFunction"]
    resources = [local.function_arns.post_annotation, local.function_arns.pre_annotation]
  }

  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = ["arn:${local.partition}:logs:${var.aws_region}:${local.account_id}:log-group:/aws/sagemaker/*"]
  }

  statement {
    sid     = "WriteMetrics"
    actions = ["cloudwatch:PutMetricData"]
    # CloudWatch metrics have no resources that a policy could name.
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "batch_job" {
  source_policy_documents = [
    data.aws_iam_policy_document.read_inputs.json,
    data.aws_iam_policy_document.read_input_versions.json,
    data.aws_iam_policy_document.read_campaigns.json,
  ]

  statement {
    sid     = "WriteCampaigns"
    actions = ["s3:PutObject"]
    resources = [
      "${local.arns.data_bucket}/campaigns/*/inputs/*",
      "${local.arns.data_bucket}/campaigns/*/report/*",
      "${local.arns.data_bucket}/campaigns/*/rounds/*",
    ]
  }
}

data "aws_iam_policy_document" "active_learning_loop" {
  statement {
    sid     = "InvokeFunctions"
    actions = ["lambda:InvokeFunction"]
    resources = [
      local.function_arns.create_labeling_job,
      local.function_arns.decide,
      local.function_arns.merge_audit,
      local.function_arns.merge_labels,
      local.function_arns.preflight,
      local.function_arns.prepare,
      local.function_arns.record_outcome,
      local.function_arns.start_audit,
    ]
  }

  statement {
    sid     = "SubmitJobs"
    actions = ["batch:SubmitJob"]
    # The machine names the definition without its revision; AWS does not say in which of the two forms Batch checks it.
    resources = [local.arns.job_queue, local.arns.job_definition, "${local.arns.job_definition}:*"]
  }

  statement {
    sid     = "FollowJobs"
    actions = ["batch:DescribeJobs"]
    # The action knows no resources.
    resources = ["*"]
  }

  statement {
    sid     = "EndJobsOfStoppedExecutions"
    actions = ["batch:TerminateJob"]
    # A job's ARN holds an id that nobody knows before.
    resources = ["arn:${local.partition}:batch:${var.aws_region}:${local.account_id}:job/*"]
  }

  statement {
    sid     = "WaitForJobs"
    actions = ["events:DescribeRule", "events:PutRule", "events:PutTargets"]
    # Step Functions itself keeps this rule, which tells it that a job has ended.
    resources = ["arn:${local.partition}:events:${var.aws_region}:${local.account_id}:rule/StepFunctionsGetEventsForBatchJobsRule"]
  }
}

data "aws_iam_policy_document" "label_audit" {
  statement {
    sid     = "InvokeFunctions"
    actions = ["lambda:InvokeFunction"]
    resources = [
      local.function_arns.advance_audit,
      local.function_arns.create_labeling_job,
      local.function_arns.finish_audit,
    ]
  }
}
