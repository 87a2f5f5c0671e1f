variable "access_log_bucket_name" {
  description = "Name of an existing bucket that gets a log of every access, under this bucket's name; null for no log."
  type        = string
  default     = null
}

variable "bucket_name" {
  description = "Name of the bucket; unique among all AWS accounts."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "The bucket name must have 3 to 63 lower-case letters, digits and hyphens, and neither begin nor end with a hyphen."
  }
}

variable "cors_allowed_origins" {
  description = "Origins that may load objects in a browser, such as Ground Truth's worker portal; an empty list allows none."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "eventbridge_enabled" {
  description = "Whether the bucket sends its events to EventBridge."
  type        = bool
  default     = true
  nullable    = false
}

variable "force_destroy" {
  description = "Whether destroying the bucket deletes the objects in it; otherwise a bucket with objects can't be destroyed."
  type        = bool
  default     = false
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the objects; null for keys that S3 manages."
  type        = string
  default     = null
}

variable "noncurrent_version_retention_days" {
  description = "Days that a replaced or deleted version of an object is kept."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.noncurrent_version_retention_days >= 1
    error_message = "Replaced versions must be kept for at least 1 day."
  }
}

variable "tags" {
  description = "Tags of the bucket."
  type        = map(string)
  default     = {}
  nullable    = false
}
