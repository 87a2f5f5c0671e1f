variable "account_id" {
  description = "Account of the queue; only its event rules may send to it."
  type        = string
  nullable    = false
}

variable "aws_region" {
  description = "Region of the queue."
  type        = string
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the messages; null for the keys that SQS manages."
  type        = string
  default     = null
}

variable "message_retention_seconds" {
  description = "Seconds that a message is kept."
  type        = number
  default     = 1209600
  nullable    = false

  validation {
    condition     = var.message_retention_seconds >= 60 && var.message_retention_seconds <= 1209600
    error_message = "Messages must be kept for 60 to 1209600 seconds (14 days)."
  }
}

variable "name" {
  description = "Name of the queue."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,80}$", var.name))
    error_message = "The queue name must have 1 to 80 letters, digits, hyphens and underscores."
  }
}

variable "tags" {
  description = "Tags of the queue."
  type        = map(string)
  default     = {}
  nullable    = false
}
