variable "alarm_topic_arn" {
  description = "ARN of the SNS topic that alarms and the budget notify; its policy must admit both, and its key must not be the one that AWS manages for SNS."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[a-zA-Z0-9_-]+$", var.alarm_topic_arn))
    error_message = "The topic must be given by its ARN, such as arn:aws:sns:us-east-1:111122223333:my-team-alarms."
  }
}

variable "audit_state_machine_arn" {
  description = "ARN of the state machine that runs an audit."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:states:[a-z0-9-]+:[0-9]{12}:stateMachine:[a-zA-Z0-9_-]+$", var.audit_state_machine_arn))
    error_message = "The audits' state machine must be given by its ARN, such as arn:aws:states:us-east-1:111122223333:stateMachine:my-team-audit."
  }
}

variable "aws_region" {
  description = "Region of the metrics that the dashboard shows."
  type        = string
  nullable    = false
}

variable "dead_letter_queue_name" {
  description = "Name of the SQS queue that takes events and calls which failed for good."
  type        = string
  nullable    = false
}

variable "function_names" {
  description = "Name of the Lambda function of each folder in lambdas/; decide must be among them, because its log tells what each round brought."
  type        = map(string)
  nullable    = false

  validation {
    condition     = contains(keys(var.function_names), "decide")
    error_message = "The functions must be given by their folder in lambdas/, with decide among them."
  }
}

variable "metrics_namespace" {
  description = "CloudWatch namespace that the functions write their metrics to; two stacks in one account and region need two, or each shows the other's campaigns."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9._/#-]{1,255}$", var.metrics_namespace)) && !startswith(var.metrics_namespace, "AWS/")
    error_message = "The namespace must have 1 to 255 letters, digits, dots, hyphens, underscores, slashes and number signs, and not begin with AWS/."
  }
}

variable "monthly_budget_usd" {
  description = "US dollars that the stack may cost in a month, all that is tagged Stack = name_prefix; null for no budget."
  type        = number
  default     = null

  validation {
    condition     = var.monthly_budget_usd == null ? true : var.monthly_budget_usd > 0
    error_message = "The monthly budget must be more than 0 US dollars; leave it out (null) for no budget."
  }
}

variable "name_prefix" {
  description = "Beginning of the names of the dashboard, the alarms and the budget, and value of the tag Stack by which costs are counted."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,64}$", var.name_prefix))
    error_message = "The prefix must have 1 to 64 letters, digits, hyphens and underscores."
  }
}

variable "state_machine_arn" {
  description = "ARN of the state machine that runs a campaign."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:states:[a-z0-9-]+:[0-9]{12}:stateMachine:[a-zA-Z0-9_-]+$", var.state_machine_arn))
    error_message = "The state machine must be given by its ARN, such as arn:aws:states:us-east-1:111122223333:stateMachine:my-team-loop."
  }
}

variable "tags" {
  description = "Tags of the alarms and the budget; a dashboard has none."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "thresholds" {
  description = "What sets the alarms off: percent of a campaign's budget spent, percent of labelling jobs of a day that failed or were stopped, and hours without progress of a labelling job."
  type = object({
    campaign_budget_percent  = optional(number, 80)
    job_failure_percent      = optional(number, 20)
    stuck_labeling_job_hours = optional(number, 24)
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for percent in [var.thresholds.campaign_budget_percent, var.thresholds.job_failure_percent] : percent > 0 && percent <= 100
    ])
    error_message = "Percentages must be more than 0 and at most 100."
  }

  validation {
    condition     = var.thresholds.stuck_labeling_job_hours >= 1
    error_message = "A labelling job must be given at least 1 hour to make progress; the functions look at it every 15 minutes."
  }
}
