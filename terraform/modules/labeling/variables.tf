variable "account_id" {
  description = "Account of the labelling jobs; only SageMaker in it may take the role."
  type        = string
  nullable    = false
}

variable "auditors_workteam_description" {
  description = "What the auditors' work team is for; its members read it. Null without an auditor_user_group."
  type        = string
  default     = null

  validation {
    condition = (
      try(var.workforce.auditor_user_group, null) == null
      || try(length(var.auditors_workteam_description) >= 1 && length(var.auditors_workteam_description) <= 200, false)
    )
    error_message = "The auditors' work team needs a description of 1 to 200 characters."
  }
}

variable "auditors_workteam_name" {
  description = "Name of the auditors' work team; null without an auditor_user_group."
  type        = string
  default     = null

  validation {
    condition = (
      try(var.workforce.auditor_user_group, null) == null
      || can(regex("^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$", var.auditors_workteam_name))
    )
    error_message = "The auditors' work team needs a name of 1 to 63 letters, digits and hyphens, which neither begins nor ends with a hyphen."
  }
}

variable "bucket_name" {
  description = "Name of the bucket that the worker templates are uploaded to."
  type        = string
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of the KMS key of the objects and of the output, which the role may then use; null when S3 manages the keys."
  type        = string
  default     = null
}

variable "permissions_boundary_arn" {
  description = "ARN of the permissions boundary of the role; null for none."
  type        = string
  default     = null
}

variable "policy_json" {
  description = "Policy document with what Ground Truth needs: the objects, its output folder, and the annotation functions."
  type        = string
  nullable    = false
}

variable "role_name" {
  description = "Name of the role that Ground Truth runs labelling jobs with."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,64}$", var.role_name))
    error_message = "The role name must have 1 to 64 letters, digits, hyphens and underscores."
  }
}

variable "tags" {
  description = "Tags of the work teams, the role and the templates."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "template_paths" {
  description = "Path of the worker template of each task type."
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.template_paths) > 0
    error_message = "At least one task type needs a worker template."
  }
}

variable "workforce" {
  description = "The private workforce's Cognito user pool and app client, and the user groups whose members form the work team and that of the auditors; null, or a group that is null, when a team exists or is not needed, so that none is made."
  type = object({
    user_pool          = string
    client_id          = string
    user_group         = optional(string)
    auditor_user_group = optional(string)
  })
  default = null

  validation {
    condition     = try(coalesce(var.workforce.user_group, " ") != var.workforce.auditor_user_group, true)
    error_message = "Nobody audits their own labels: user_group and auditor_user_group must be two groups."
  }
}

variable "workteam_description" {
  description = "What the work team is for; its members read it. Null without a user_group."
  type        = string
  default     = null

  validation {
    condition     = try(var.workforce.user_group, null) == null || try(length(var.workteam_description) >= 1 && length(var.workteam_description) <= 200, false)
    error_message = "A work team needs a description of 1 to 200 characters."
  }
}

variable "workteam_name" {
  description = "Name of the work team; null without a user_group."
  type        = string
  default     = null

  validation {
    condition     = try(var.workforce.user_group, null) == null || can(regex("^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$", var.workteam_name))
    error_message = "A work team needs a name of 1 to 63 letters, digits and hyphens, which neither begins nor ends with a hyphen."
  }
}
