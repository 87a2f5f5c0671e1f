locals {
  # The drop-down puts the chosen name wherever this text stands; campaigns' names have no capitals.
  campaign = "CHOSEN_CAMPAIGN"

  campaign_widgets = [
    {
      type       = "text"
      x          = 0
      y          = 3
      width      = 24
      height     = 1
      properties = { markdown = "## Campaign ${local.campaign}" }
    },
    {
      type   = "metric"
      x      = 0
      y      = 4
      width  = 8
      height = 6
      properties = {
        title  = "Labels that people gave"
        region = var.aws_region
        view   = "timeSeries"
        stat   = "Maximum"
        period = 300
        metrics = [
          [var.metrics_namespace, "CampaignLabels", "campaign", local.campaign, "service", "decide", { label = "all rounds" }],
          [var.metrics_namespace, "RoundLabels", "campaign", local.campaign, "service", "decide", { label = "the round" }],
        ]
      }
    },
    {
      type   = "metric"
      x      = 8
      y      = 4
      width  = 8
      height = 6
      properties = {
        title  = "Cost in US dollars"
        region = var.aws_region
        view   = "timeSeries"
        stat   = "Maximum"
        period = 300
        metrics = [
          [var.metrics_namespace, "CampaignCost", "campaign", local.campaign, "service", "decide", { label = "all rounds" }],
          [var.metrics_namespace, "RoundCost", "campaign", local.campaign, "service", "decide", { label = "the round" }],
        ]
      }
    },
    {
      type   = "metric"
      x      = 16
      y      = 4
      width  = 8
      height = 6
      properties = {
        title       = "Budget used, in percent"
        region      = var.aws_region
        view        = "timeSeries"
        stat        = "Maximum"
        period      = 300
        yAxis       = { left = { min = 0 } }
        annotations = { horizontal = [{ label = "alarm", value = var.thresholds.campaign_budget_percent }] }
        metrics = [
          [var.metrics_namespace, "BudgetUsed", "campaign", local.campaign, "service", "decide", { label = "budget used" }],
        ]
      }
    },
    {
      type   = "metric"
      x      = 0
      y      = 10
      width  = 8
      height = 6
      properties = {
        title  = "Accuracy on the test split, in percent"
        region = var.aws_region
        view   = "timeSeries"
        stat   = "Maximum"
        period = 300
        yAxis  = { left = { max = 100 } }
        metrics = [
          [var.metrics_namespace, "TestQuality", "campaign", local.campaign, "service", "decide", { label = "quality" }],
        ]
      }
    },
    {
      type   = "metric"
      x      = 8
      y      = 10
      width  = 8
      height = 6
      properties = {
        title       = "Open labelling jobs, and hours without progress"
        region      = var.aws_region
        view        = "timeSeries"
        stat        = "Maximum"
        period      = 900
        annotations = { horizontal = [{ label = "alarm", value = var.thresholds.stuck_labeling_job_hours }] }
        metrics = [
          [var.metrics_namespace, "HoursWithoutProgress", "campaign", local.campaign, "service", "reconcile_labeling_jobs", { label = "hours" }],
          [var.metrics_namespace, "OpenLabelingJobs", "campaign", local.campaign, "service", "reconcile_labeling_jobs", { label = "jobs", yAxis = "right" }],
        ]
      }
    },
    {
      type   = "metric"
      x      = 16
      y      = 10
      width  = 8
      height = 6
      properties = {
        title  = "Objects that could not be labelled"
        region = var.aws_region
        view   = "timeSeries"
        stat   = "Maximum"
        period = 300
        metrics = [
          [var.metrics_namespace, "ObjectsFailed", "campaign", local.campaign, "service", "merge_labels", { label = "the round" }],
        ]
      }
    },
    {
      type   = "metric"
      x      = 0
      y      = 16
      width  = 8
      height = 6
      properties = {
        title  = "Labels that auditors looked at"
        region = var.aws_region
        view   = "timeSeries"
        stat   = "Maximum"
        period = 300
        metrics = [
          [var.metrics_namespace, "LabelsAudited", "campaign", local.campaign, "service", "merge_audit", { label = "audited in the round" }],
          [var.metrics_namespace, "LabelsRejected", "campaign", local.campaign, "service", "merge_audit", { label = "rejected" }],
          [var.metrics_namespace, "LabelsTakenBack", "campaign", local.campaign, "service", "merge_audit", { label = "taken back" }],
        ]
      }
    },
    {
      type   = "metric"
      x      = 8
      y      = 16
      width  = 8
      height = 6
      properties = {
        title  = "Wrong labels as audits estimate them, in percent"
        region = var.aws_region
        view   = "timeSeries"
        stat   = "Maximum"
        period = 300
        yAxis  = { left = { min = 0 } }
        metrics = [
          [var.metrics_namespace, "InitialErrorRate", "campaign", local.campaign, "service", "merge_audit", { label = "before the audit" }],
          [var.metrics_namespace, "FinalErrorRate", "campaign", local.campaign, "service", "merge_audit", { label = "after it" }],
        ]
      }
    },
    {
      type   = "metric"
      x      = 16
      y      = 16
      width  = 8
      height = 6
      properties = {
        title  = "Labels of the model that are right, in percent"
        region = var.aws_region
        view   = "timeSeries"
        stat   = "Maximum"
        period = 300
        yAxis  = { left = { max = 100 } }
        metrics = [
          [var.metrics_namespace, "AutoLabelPrecision", "campaign", local.campaign, "service", "merge_audit", { label = "precision" }],
        ]
      }
    },
    {
      type   = "log"
      x      = 0
      y      = 22
      width  = 24
      height = 6
      properties = {
        title  = "Rounds"
        region = var.aws_region
        view   = "table"
        # A repeated decision is in the log twice; nothing but limit may follow dedup.
        query = join(" | ", [
          "SOURCE '/aws/lambda/${var.function_names["decide"]}'",
          "filter message = 'the round is decided' and campaign = '${local.campaign}'",
          "fields round, labels.people, labels.cumulative_people, cost_usd.total, cost_usd.cumulative, quality.value, stop, reason",
          "sort round asc",
          "dedup round",
        ])
      }
    },
  ]

  stack_widgets = [
    {
      type       = "alarm"
      x          = 0
      y          = 0
      width      = 24
      height     = 3
      properties = { title = "Alarms", alarms = values(local.alarm_arns) }
    },
    {
      type       = "text"
      x          = 0
      y          = 28
      width      = 24
      height     = 1
      properties = { markdown = "## All campaigns of ${var.name_prefix}" }
    },
    {
      type   = "metric"
      x      = 0
      y      = 29
      width  = 8
      height = 6
      properties = {
        title  = "Executions"
        region = var.aws_region
        view   = "timeSeries"
        stat   = "Sum"
        period = 300
        metrics = [
          for name in ["ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"] :
          ["AWS/States", name, "StateMachineArn", var.state_machine_arn]
        ]
      }
    },
    {
      type   = "metric"
      x      = 8
      y      = 29
      width  = 8
      height = 6
      properties = {
        title   = "Errors of the functions"
        region  = var.aws_region
        view    = "timeSeries"
        stat    = "Sum"
        period  = 300
        metrics = [for folder, name in var.function_names : ["AWS/Lambda", "Errors", "FunctionName", name, { label = folder }]]
      }
    },
    {
      type   = "metric"
      x      = 16
      y      = 29
      width  = 8
      height = 6
      properties = {
        title   = "Longest run of the functions, in milliseconds"
        region  = var.aws_region
        view    = "timeSeries"
        stat    = "Maximum"
        period  = 300
        metrics = [for folder, name in var.function_names : ["AWS/Lambda", "Duration", "FunctionName", name, { label = folder }]]
      }
    },
    {
      type   = "metric"
      x      = 0
      y      = 35
      width  = 8
      height = 6
      properties = {
        title   = "Dead letters"
        region  = var.aws_region
        view    = "timeSeries"
        stat    = "Maximum"
        period  = 300
        metrics = [["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.dead_letter_queue_name]]
      }
    },
    {
      type   = "metric"
      x      = 8
      y      = 35
      width  = 8
      height = 6
      properties = {
        title   = "Labelling jobs that ended, as told by the event or found by the schedule"
        region  = var.aws_region
        view    = "timeSeries"
        stacked = true
        stat    = "Sum"
        period  = 3600
        metrics = [
          [var.metrics_namespace, "LabelingJobsCompleted", "service", "release_labeling_job", { label = "completed, event" }],
          [var.metrics_namespace, "LabelingJobsCompleted", "service", "reconcile_labeling_jobs", { label = "completed, schedule" }],
          [var.metrics_namespace, "LabelingJobsFailed", "service", "release_labeling_job", { label = "failed, event" }],
          [var.metrics_namespace, "LabelingJobsFailed", "service", "reconcile_labeling_jobs", { label = "failed, schedule" }],
          [var.metrics_namespace, "LabelingJobsStopped", "service", "release_labeling_job", { label = "stopped, event" }],
          [var.metrics_namespace, "LabelingJobsStopped", "service", "reconcile_labeling_jobs", { label = "stopped, schedule" }],
        ]
      }
    },
    {
      type   = "metric"
      x      = 16
      y      = 35
      width  = 8
      height = 6
      properties = {
        title       = "Open labelling jobs, and hours without progress"
        region      = var.aws_region
        view        = "timeSeries"
        stat        = "Maximum"
        period      = 900
        annotations = { horizontal = [{ label = "alarm", value = var.thresholds.stuck_labeling_job_hours }] }
        metrics = [
          [var.metrics_namespace, "HoursWithoutProgress", "service", "reconcile_labeling_jobs", { label = "hours" }],
          [var.metrics_namespace, "OpenLabelingJobs", "service", "reconcile_labeling_jobs", { label = "jobs", yAxis = "right" }],
        ]
      }
    },
    {
      type   = "metric"
      x      = 0
      y      = 41
      width  = 8
      height = 6
      properties = {
        title  = "Audits"
        region = var.aws_region
        view   = "timeSeries"
        stat   = "Sum"
        period = 300
        metrics = [
          for name in ["ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"] :
          ["AWS/States", name, "StateMachineArn", var.audit_state_machine_arn]
        ]
      }
    },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = "${var.name_prefix}-campaigns"

  dashboard_body = jsonencode({
    start   = "-P14D"
    widgets = concat(local.stack_widgets, local.campaign_widgets)
    variables = [
      {
        id        = "campaign"
        label     = "Campaign"
        type      = "pattern"
        pattern   = local.campaign
        inputType = "select"
        visible   = true
        # All campaigns that wrote any metric in the last two weeks, so a first round that is stuck is among them.
        search       = "{\"${var.metrics_namespace}\",campaign,service}"
        populateFrom = "campaign"
        defaultValue = "__FIRST"
      },
    ]
  })
}

resource "aws_budgets_budget" "this" {
  count = var.monthly_budget_usd == null ? 0 : 1

  name         = "${var.name_prefix}-monthly"
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"
  tags         = var.tags

  cost_filter {
    name = "TagKeyValue"
    # The sign between key and value is Budgets' own; written next to an interpolation it would escape it.
    values = [join("$", ["user:Stack", var.name_prefix])]
  }

  notification {
    notification_type         = "ACTUAL"
    comparison_operator       = "GREATER_THAN"
    threshold                 = 80
    threshold_type            = "PERCENTAGE"
    subscriber_sns_topic_arns = [var.alarm_topic_arn]
  }

  notification {
    notification_type         = "FORECASTED"
    comparison_operator       = "GREATER_THAN"
    threshold                 = 100
    threshold_type            = "PERCENTAGE"
    subscriber_sns_topic_arns = [var.alarm_topic_arn]
  }
}
