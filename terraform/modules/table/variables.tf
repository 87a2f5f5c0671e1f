variable "deletion_protection_enabled" {
  description = "Whether the table refuses to be deleted."
  type        = bool
  default     = true
  nullable    = false
}

variable "global_secondary_indexes" {
  description = "Global secondary indexes by name, each with its key attributes; all attributes are projected."
  type = map(object({
    hash_key  = string
    range_key = optional(string)
  }))
  default  = {}
  nullable = false
}

variable "hash_key" {
  description = "Name of the partition key, a text attribute."
  type        = string
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the table; null for the key that AWS manages for DynamoDB in the account."
  type        = string
  default     = null
}

variable "name" {
  description = "Name of the table."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_.-]{3,255}$", var.name))
    error_message = "The table name must have 3 to 255 letters, digits, hyphens, underscores and dots."
  }
}

variable "range_key" {
  description = "Name of the sort key, a text attribute; null for a table without one."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the table."
  type        = map(string)
  default     = {}
  nullable    = false
}
