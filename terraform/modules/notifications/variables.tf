variable "account_id" {
  description = "Account of the topic; only its alarms and budgets may publish."
  type        = string
  nullable    = false
}

variable "aws_region" {
  description = "Region of the topic."
  type        = string
  nullable    = false
}

variable "emails" {
  description = "E-mail addresses that get every message."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@[:space:]]+@[^@[:space:]]+$", email))])
    error_message = "Every entry must be an e-mail address such as team@example.com."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the messages, whose policy must admit CloudWatch and Budgets; null for the disk encryption of SNS."
  type        = string
  default     = null
}

variable "name" {
  description = "Name of the topic."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,256}$", var.name))
    error_message = "The topic name must have 1 to 256 letters, digits, hyphens and underscores."
  }
}

variable "tags" {
  description = "Tags of the topic."
  type        = map(string)
  default     = {}
  nullable    = false
}
