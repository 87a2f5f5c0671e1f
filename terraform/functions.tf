# The functions by their folder in lambdas/. `asynchronous` ones are invoked by EventBridge, which does not wait for an
# answer, so what they fail on goes to the dead-letter queue. A timeout is at most that of the state that waits for it.
locals {
  # By their archives' names.
  layers = {
    imaging    = "numpy and Pillow, which the masks of several annotators are consolidated with."
    powertools = "Powertools for AWS Lambda, which the functions log and measure with."
  }

  functions = {
    preflight = {
      description     = "Lists every problem of a campaign request before anything is spent."
      timeout_seconds = 300
      memory_mb       = 1024
      asynchronous    = false
      layers          = ["powertools"]
      policy_json     = data.aws_iam_policy_document.preflight.json
      environment = {
        DATA_BUCKET  = local.data_bucket_name
        WORKTEAM_ARN = local.arns.workteam
      }
    }

    prepare = {
      description     = "Writes a campaign's frozen request, master manifest and splits, or finds the round to resume at."
      timeout_seconds = 900
      memory_mb       = 2048
      asynchronous    = false
      layers          = ["powertools"]
      policy_json     = data.aws_iam_policy_document.prepare.json
      environment = {
        DATA_BUCKET  = local.data_bucket_name
        LEDGER_TABLE = local.names.ledger_table
        WORKTEAM_ARN = local.arns.workteam
      }
    }

    create_labeling_job = {
      description     = "Stores the task token and creates the labelling job of a round."
      timeout_seconds = 300
      memory_mb       = 512
      asynchronous    = false
      layers          = ["powertools"]
      policy_json     = data.aws_iam_policy_document.create_labeling_job.json
      environment = {
        DATA_BUCKET                  = local.data_bucket_name
        JOBS_TABLE                   = local.names.jobs_table
        LABELING_ROLE_ARN            = local.arns.labeling_role
        POST_ANNOTATION_FUNCTION_ARN = local.function_arns.post_annotation
        PRE_ANNOTATION_FUNCTION_ARN  = local.function_arns.pre_annotation
      }
    }

    release_labeling_job = {
      description     = "Resumes the execution that waits for a labelling job which has ended."
      timeout_seconds = 60
      memory_mb       = 256
      asynchronous    = true
      layers          = ["powertools"]
      policy_json     = data.aws_iam_policy_document.release_labeling_job.json
      environment = {
        JOBS_TABLE = local.names.jobs_table
      }
    }

    reconcile_labeling_jobs = {
      description     = "Asks after open labelling jobs on a schedule, in case an event was lost."
      timeout_seconds = 300
      memory_mb       = 256
      asynchronous    = true
      layers          = ["powertools"]
      policy_json     = data.aws_iam_policy_document.reconcile_labeling_jobs.json
      environment = {
        JOBS_TABLE = local.names.jobs_table
      }
    }

    pre_annotation = {
      description     = "Turns a manifest row into what the worker template shows."
      timeout_seconds = 60
      memory_mb       = 256
      asynchronous    = false
      layers          = ["powertools"]
      policy_json     = data.aws_iam_policy_document.pre_annotation.json
      environment = {
        JOBS_TABLE = local.names.jobs_table
      }
    }

    post_annotation = {
      description     = "Consolidates the answers of several workers into one label per object."
      timeout_seconds = 900
      memory_mb       = 3008
      asynchronous    = false
      layers          = ["powertools", "imaging"]
      policy_json     = data.aws_iam_policy_document.post_annotation.json
      environment = {
        DATA_BUCKET = local.data_bucket_name
        JOBS_TABLE  = local.names.jobs_table
      }
    }

    merge_labels = {
      description     = "Merges a labelling job's output into the master manifest."
      timeout_seconds = 900
      memory_mb       = 2048
      asynchronous    = false
      layers          = ["powertools"]
      policy_json     = data.aws_iam_policy_document.merge_labels.json
      environment = {
        DATA_BUCKET = local.data_bucket_name
        JOBS_TABLE  = local.names.jobs_table
      }
    }

    decide = {
      description     = "Adds up a round's labels, cost and quality, and applies the stop rules."
      timeout_seconds = 300
      memory_mb       = 512
      asynchronous    = false
      layers          = ["powertools"]
      policy_json     = data.aws_iam_policy_document.decide.json
      environment = {
        DATA_BUCKET  = local.data_bucket_name
        LEDGER_TABLE = local.names.ledger_table
      }
    }

    record_outcome = {
      description     = "Writes how a campaign ended to the ledger and notifies its owners."
      timeout_seconds = 120
      memory_mb       = 256
      asynchronous    = false
      layers          = ["powertools"]
      policy_json     = data.aws_iam_policy_document.record_outcome.json
      environment = {
        LEDGER_TABLE           = local.names.ledger_table
        NOTIFICATION_TOPIC_ARN = local.arns.notifications
      }
    }
  }
}
