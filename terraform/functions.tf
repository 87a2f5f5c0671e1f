# The functions by their folder in lambdas/. `asynchronous` ones are invoked by EventBridge or CloudWatch Logs, which do not
# wait for an answer, so what they fail on goes to the dead-letter queue. A timeout is at most that of the state that waits
# for it.
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
        AUDITORS_WORKTEAM_ARN = local.arns.auditors_workteam
        DATA_BUCKET           = local.data_bucket_name
        WORKTEAM_ARN          = local.arns.workteam
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
      description     = "Stores the task token and creates the labelling job of a round or of an audit's step."
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

    start_audit = {
      description     = "Freezes what is to be audited of a labelling job that has ended, and starts the audit once."
      timeout_seconds = 300
      memory_mb       = 512
      asynchronous    = true
      layers          = ["powertools"]
      policy_json     = data.aws_iam_policy_document.start_audit.json
      environment = {
        AUDIT_STATE_MACHINE_ARN = local.arns.audit_state_machine
        AUDITORS_WORKTEAM_ARN   = local.arns.auditors_workteam
        DATA_BUCKET             = local.data_bucket_name
        JOBS_TABLE              = local.names.jobs_table
        STANDALONE_AUDITS       = jsonencode(local.standalone_audits)
      }
    }

    advance_audit = {
      description     = "Reads what an audit's last job brought and plans the next step."
      timeout_seconds = 900
      memory_mb       = 2048
      asynchronous    = false
      layers          = ["powertools"]
      policy_json     = data.aws_iam_policy_document.advance_audit.json
      environment = {
        DATA_BUCKET = local.data_bucket_name
      }
    }

    finish_audit = {
      description     = "Tells the campaign that waits for an audit, or the subscribers, how it ended."
      timeout_seconds = 120
      memory_mb       = 256
      asynchronous    = false
      layers          = ["powertools"]
      policy_json     = data.aws_iam_policy_document.finish_audit.json
      environment = {
        JOBS_TABLE             = local.names.jobs_table
        NOTIFICATION_TOPIC_ARN = local.arns.notifications
      }
    }

    merge_audit = {
      description     = "Merges what an audit decided into the master manifest."
      timeout_seconds = 900
      memory_mb       = 2048
      asynchronous    = false
      layers          = ["powertools"]
      policy_json     = data.aws_iam_policy_document.merge_audit.json
      environment = {
        DATA_BUCKET = local.data_bucket_name
      }
    }

    record_answers = {
      description = "Records each worker's answer, what it agrees with, and the verdicts on it."
      # An answer takes milliseconds, but a step's verdicts are one file with an update for each: up to 100,000.
      timeout_seconds = 900
      memory_mb       = 1024
      asynchronous    = true
      layers          = ["powertools"]
      policy_json     = data.aws_iam_policy_document.record_answers.json
      environment = {
        ANSWERS_TABLE = local.names.answers_table
        JOBS_TABLE    = local.names.jobs_table
        WORKERS_TABLE = local.names.workers_table
      }
    }

    record_activity = {
      description     = "Records the tasks that workers declined or returned."
      timeout_seconds = 60
      memory_mb       = 256
      asynchronous    = true
      layers          = ["powertools"]
      policy_json     = data.aws_iam_policy_document.record_activity.json
      environment = {
        ANSWERS_TABLE = local.names.answers_table
        JOBS_TABLE    = local.names.jobs_table
        WORKERS_TABLE = local.names.workers_table
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
