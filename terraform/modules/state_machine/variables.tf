variable "account_id" {
  description = "Account of the state machine; only Step Functions in it may take the role."
  type        = string
  nullable    = false
}

variable "aws_region" {
  description = "Region of the state machine."
  type        = string
  nullable    = false
}

variable "definition" {
  description = "Definition in the Amazon States Language."
  type        = string
  nullable    = false

  validation {
    condition     = can(jsondecode(var.definition).States[jsondecode(var.definition).StartAt])
    error_message = "The definition must be a JSON object whose StartAt names one of its States."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the logs; null for a key that AWS manages."
  type        = string
  default     = null
}

variable "log_execution_data" {
  description = "Whether the logs hold the data that passes between the states, task tokens among it."
  type        = bool
  default     = true
  nullable    = false
}

variable "log_retention_in_days" {
  description = "Days that the logs are kept."
  type        = number
  default     = 365
  nullable    = false
}

variable "name" {
  description = "Name of the state machine and of its role."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,64}$", var.name))
    error_message = "The name must have 1 to 64 letters, digits, hyphens and underscores."
  }
}

variable "permissions_boundary_arn" {
  description = "ARN of the permissions boundary of the role; null for none."
  type        = string
  default     = null
}

variable "policy_json" {
  description = "Policy document with what the definition's tasks need."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Tags of the state machine, its log group and its role."
  type        = map(string)
  default     = {}
  nullable    = false
}
