variable "dead_letter_queue_arn" {
  description = "ARN of the SQS queue that keeps the events which could not be delivered."
  type        = string
  nullable    = false
}

variable "description" {
  description = "What the rule is for."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.description) <= 512
    error_message = "The description must have at most 512 characters."
  }
}

variable "event_pattern" {
  description = "JSON pattern of the events that are delivered; null for a rule with a schedule."
  type        = string
  default     = null

  validation {
    condition     = var.event_pattern == null || can(keys(jsondecode(var.event_pattern)))
    error_message = "The event pattern must be a JSON object."
  }
}

variable "function_arn" {
  description = "ARN of the Lambda function that gets the events."
  type        = string
  nullable    = false
}

variable "maximum_event_age_seconds" {
  description = "Seconds after which EventBridge gives up delivering an event."
  type        = number
  default     = 3600
  nullable    = false

  validation {
    condition     = var.maximum_event_age_seconds >= 60 && var.maximum_event_age_seconds <= 86400
    error_message = "The maximum age of an event must be 60 to 86400 seconds."
  }
}

variable "maximum_retry_attempts" {
  description = "Number of times that EventBridge repeats a delivery which failed."
  type        = number
  default     = 24
  nullable    = false

  validation {
    condition     = var.maximum_retry_attempts >= 0 && var.maximum_retry_attempts <= 185
    error_message = "The number of repetitions must be 0 to 185."
  }
}

variable "name" {
  description = "Name of the rule."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_.-]{1,64}$", var.name))
    error_message = "The rule name must have 1 to 64 letters, digits, hyphens, underscores and dots."
  }
}

variable "schedule_expression" {
  description = "Schedule such as rate(15 minutes); null for a rule with an event pattern."
  type        = string
  default     = null

  validation {
    condition     = (var.schedule_expression == null) != (var.event_pattern == null)
    error_message = "A rule needs either a schedule or an event pattern, not both."
  }
}

variable "tags" {
  description = "Tags of the rule."
  type        = map(string)
  default     = {}
  nullable    = false
}
