# Every description is the alarm's row in the README: what it means, and what to do first.

# A sum over a list passes over metrics that have no values yet, where + would give nothing at all.
resource "aws_cloudwatch_metric_alarm" "executions_failed" {
  alarm_name          = "${var.name_prefix}-executions-failed"
  alarm_description   = "A campaign's execution failed, timed out or was aborted. Read the notification or the execution's history for the state and the reason, remove the cause, and start the same request again: it resumes where it stopped."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  # Step Functions writes nothing while no execution ends.
  treat_missing_data = "notBreaching"
  alarm_actions      = [var.alarm_topic_arn]
  tags               = var.tags

  metric_query {
    id          = "not_succeeded"
    label       = "Executions that did not succeed"
    expression  = "SUM([FILL(failed, 0), FILL(timed_out, 0), FILL(aborted, 0)])"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { failed = "ExecutionsFailed", timed_out = "ExecutionsTimedOut", aborted = "ExecutionsAborted" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/States"
        metric_name = metric_query.value
        dimensions  = { StateMachineArn = var.state_machine_arn }
        stat        = "Sum"
        period      = 300
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "audits_failed" {
  alarm_name          = "${var.name_prefix}-audits-failed"
  alarm_description   = "An audit's execution failed, timed out or was aborted, and with it the campaign that waits for it. Read the notification or the execution's history for the state and the reason, remove the cause, and start the campaign's request again, or without a campaign a new execution with the same input: the audit goes on where it stopped."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  # Step Functions writes nothing while no execution ends.
  treat_missing_data = "notBreaching"
  alarm_actions      = [var.alarm_topic_arn]
  tags               = var.tags

  metric_query {
    id          = "not_succeeded"
    label       = "Audits that did not succeed"
    expression  = "SUM([FILL(failed, 0), FILL(timed_out, 0), FILL(aborted, 0)])"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { failed = "ExecutionsFailed", timed_out = "ExecutionsTimedOut", aborted = "ExecutionsAborted" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/States"
        metric_name = metric_query.value
        dimensions  = { StateMachineArn = var.audit_state_machine_arn }
        stat        = "Sum"
        period      = 300
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name          = "${var.name_prefix}-dead-letters"
  alarm_description   = "Events or calls failed for good and lie in the dead-letter queue. Read a message for the function and the error, look into that function's log, and send the message again or delete it once the cause is gone."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = var.dead_letter_queue_name }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 300
  evaluation_periods  = 1
  # SQS writes nothing about a queue that has been empty and unused for hours.
  treat_missing_data = "notBreaching"
  alarm_actions      = [var.alarm_topic_arn]
  ok_actions         = [var.alarm_topic_arn]
  tags               = var.tags
}

# Two functions find that jobs have ended: by the event, and by the schedule when the event was lost.
resource "aws_cloudwatch_metric_alarm" "labeling_jobs_failed" {
  alarm_name          = "${var.name_prefix}-labeling-jobs-failed"
  alarm_description   = "Too large a share of the labelling jobs that ended within a day failed or were stopped. Look the jobs up in SageMaker for their failure reason, which most often is a missing right, a CORS rule or a work team without members; a restarted campaign makes the next attempt."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.thresholds.job_failure_percent
  evaluation_periods  = 1
  # No job has ended: 0 of 0 gives no value.
  treat_missing_data = "notBreaching"
  alarm_actions      = [var.alarm_topic_arn]
  tags               = var.tags

  metric_query {
    id          = "percent"
    label       = "Percent of labelling jobs that failed or were stopped"
    expression  = "100 * SUM([FILL(event_failed, 0), FILL(event_stopped, 0), FILL(schedule_failed, 0), FILL(schedule_stopped, 0)]) / SUM([FILL(event_completed, 0), FILL(event_failed, 0), FILL(event_stopped, 0), FILL(schedule_completed, 0), FILL(schedule_failed, 0), FILL(schedule_stopped, 0)])"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = {
      event_completed    = { name = "LabelingJobsCompleted", service = "release_labeling_job" }
      event_failed       = { name = "LabelingJobsFailed", service = "release_labeling_job" }
      event_stopped      = { name = "LabelingJobsStopped", service = "release_labeling_job" }
      schedule_completed = { name = "LabelingJobsCompleted", service = "reconcile_labeling_jobs" }
      schedule_failed    = { name = "LabelingJobsFailed", service = "reconcile_labeling_jobs" }
      schedule_stopped   = { name = "LabelingJobsStopped", service = "reconcile_labeling_jobs" }
    }

    content {
      id = metric_query.key

      metric {
        namespace   = var.metrics_namespace
        metric_name = metric_query.value.name
        dimensions  = { service = metric_query.value.service }
        stat        = "Sum"
        period      = 86400
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "labeling_job_stuck" {
  alarm_name          = "${var.name_prefix}-labeling-job-stuck"
  alarm_description   = "A labelling job's counters have not changed for too long, or, when the state is INSUFFICIENT_DATA, nobody has looked at the jobs for an hour. Ask the work team and look at the job in SageMaker; stop a job that nobody will finish, its labels are kept. Without data, look into the log of reconcile_labeling_jobs."
  namespace           = var.metrics_namespace
  metric_name         = "HoursWithoutProgress"
  dimensions          = { service = "reconcile_labeling_jobs" }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.thresholds.stuck_labeling_job_hours
  period              = 3600
  evaluation_periods  = 1
  # The function writes 0 when no job is open, so no value at all means that the schedule has stopped.
  treat_missing_data        = "missing"
  alarm_actions             = [var.alarm_topic_arn]
  insufficient_data_actions = [var.alarm_topic_arn]
  ok_actions                = [var.alarm_topic_arn]
  tags                      = var.tags
}

resource "aws_cloudwatch_metric_alarm" "campaign_budget" {
  alarm_name          = "${var.name_prefix}-campaign-budget"
  alarm_description   = "A campaign has spent the larger part of the budget in its request (budget_usd). Find the campaign on the dashboard; nothing has to be done if it may end there, since it stops before a round that would cost more than is left."
  namespace           = var.metrics_namespace
  metric_name         = "BudgetUsed"
  dimensions          = { service = "decide" }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.thresholds.campaign_budget_percent
  period              = 300
  evaluation_periods  = 1
  # There is a value at the end of a round alone.
  treat_missing_data = "notBreaching"
  alarm_actions      = [var.alarm_topic_arn]
  tags               = var.tags
}

locals {
  alarm_arns = {
    audits_failed        = aws_cloudwatch_metric_alarm.audits_failed.arn
    campaign_budget      = aws_cloudwatch_metric_alarm.campaign_budget.arn
    dead_letters         = aws_cloudwatch_metric_alarm.dead_letters.arn
    executions_failed    = aws_cloudwatch_metric_alarm.executions_failed.arn
    labeling_job_stuck   = aws_cloudwatch_metric_alarm.labeling_job_stuck.arn
    labeling_jobs_failed = aws_cloudwatch_metric_alarm.labeling_jobs_failed.arn
  }
}
