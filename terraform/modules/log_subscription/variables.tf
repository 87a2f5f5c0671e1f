variable "account_id" {
  description = "Account of the log group; only CloudWatch Logs for it may invoke the function."
  type        = string
  nullable    = false
}

variable "aws_region" {
  description = "Region of the log group and of the function."
  type        = string
  nullable    = false
}

variable "create_log_group" {
  description = "Whether the log group is made here; otherwise it must exist."
  type        = bool
  default     = false
  nullable    = false
}

variable "filter_pattern" {
  description = "Filter pattern of the entries that are delivered; empty for all."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = length(var.filter_pattern) <= 1024
    error_message = "The filter pattern must have at most 1024 characters."
  }
}

variable "function_arn" {
  description = "ARN of the Lambda function that gets the entries, compressed and in batches."
  type        = string
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the log group which is made; null for a key that AWS manages."
  type        = string
  default     = null
}

variable "log_group_name" {
  description = "Name of the log group."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9._/#-]{1,512}$", var.log_group_name))
    error_message = "The log group's name must have 1 to 512 letters, digits, underscores, hyphens, slashes, dots and number signs."
  }
}

variable "log_retention_in_days" {
  description = "Days that the logs are kept where the log group is made."
  type        = number
  default     = 365
  nullable    = false
}

variable "name" {
  description = "Name of the subscription filter and of the permission to invoke the function."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,100}$", var.name))
    error_message = "The name must have 1 to 100 letters, digits, hyphens and underscores."
  }
}

variable "tags" {
  description = "Tags of the log group which is made."
  type        = map(string)
  default     = {}
  nullable    = false
}
