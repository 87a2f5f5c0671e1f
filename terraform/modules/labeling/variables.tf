variable "account_id" {
  description = "Account of the labelling jobs; only SageMaker in it may take the role."
  type        = string
  nullable    = false
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
  description = "Tags of the work team, the role and the templates."
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
  description = "The private workforce's Cognito user pool and app client, and the user group whose members form the work team; null when a work team exists, so that none is made."
  type = object({
    user_pool  = string
    client_id  = string
    user_group = string
  })
  default = null
}

variable "workteam_description" {
  description = "What the work team is for; its members read it. Null without a workforce."
  type        = string
  default     = null

  validation {
    condition     = var.workforce == null || try(length(var.workteam_description) >= 1 && length(var.workteam_description) <= 200, false)
    error_message = "A work team needs a description of 1 to 200 characters."
  }
}

variable "workteam_name" {
  description = "Name of the work team; null without a workforce."
  type        = string
  default     = null

  validation {
    condition     = var.workforce == null || can(regex("^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$", var.workteam_name))
    error_message = "A work team needs a name of 1 to 63 letters, digits and hyphens, which neither begins nor ends with a hyphen."
  }
}
