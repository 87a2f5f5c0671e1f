variable "account_id" {
  description = "Account of the key; its policies decide who may use and manage the key."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "The account must be given by its 12 digits."
  }
}

variable "alias_name" {
  description = "Name of the key's alias, without alias/ before it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9/_-]{1,250}$", var.alias_name)) && !startswith(var.alias_name, "aws/") && !startswith(var.alias_name, "alias/")
    error_message = "The alias must have 1 to 250 letters, digits, hyphens, underscores and slashes, and not begin with aws/, which is AWS's own, or alias/, which the module adds."
  }
}

variable "aws_region" {
  description = "Region of the key, and of the logs, queues and topics that it encrypts."
  type        = string
  nullable    = false
}

variable "deletion_window_in_days" {
  description = "Days between the destruction of the key here and its real deletion, in which it can be had back."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.deletion_window_in_days >= 7 && var.deletion_window_in_days <= 30
    error_message = "The deletion must wait for 7 to 30 days."
  }
}

variable "tags" {
  description = "Tags of the key."
  type        = map(string)
  default     = {}
  nullable    = false
}
