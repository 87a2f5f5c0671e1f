variable "allowed_account_ids" {
  description = "Ids of the accounts that this may be applied to."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.allowed_account_ids) > 0 && alltrue([for id in var.allowed_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "At least one account is needed, each by its 12 digits."
  }
}

variable "aws_region" {
  description = "Region of the state bucket and of the image repository."
  type        = string
  default     = "us-east-1"
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of a KMS key that encrypts the state and the images; null for keys that S3 manages. Changing it replaces the image repository."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:${var.aws_region}:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "The KMS key must be given by its ARN, which is of the same region and ends in :key/ and the key's id."
  }
}

variable "name_prefix" {
  description = "Name of the image repository, and beginning of the state bucket's name."
  type        = string
  default     = "truthloop"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name_prefix)) && length(var.name_prefix) <= 32
    error_message = "The prefix must have at most 32 lower-case letters and digits, with single hyphens between them, and begin with a letter."
  }
}
