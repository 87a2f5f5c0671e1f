variable "allowed_account_ids" {
  description = "Ids of the accounts that the stack may be applied to."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.allowed_account_ids) > 0 && alltrue([for id in var.allowed_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "At least one account is needed, each by its 12 digits."
  }
}

variable "aws_region" {
  description = "Region of the stack; Ground Truth wants the objects to label in the same one."
  type        = string
  default     = "us-east-1"
  nullable    = false
}

variable "batch" {
  description = "What the Batch jobs run on, the number of vCPUs that all may use at a time, and the size of one; see modules/batch."
  type = object({
    compute_type = optional(string)
    max_vcpus    = optional(number)
    job = optional(object({
      vcpus           = optional(number)
      memory_mib      = optional(number)
      timeout_seconds = optional(number)
      attempts        = optional(number)
    }))
  })
  default  = {}
  nullable = false
}

variable "cors_allowed_origins" {
  description = "Origins that may load objects of the data bucket in a browser; Ground Truth's documents ask for all."
  type        = list(string)
  default     = ["*"]
  nullable    = false
}

variable "image_repository_name" {
  description = "Name of the ECR repository of the Batch image, in the stack's account and region; terraform/bootstrap makes it."
  type        = string
  default     = "truthloop"
  nullable    = false
}

variable "image_tag" {
  description = "Tag of the Batch image."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$", var.image_tag)) && var.image_tag != "latest"
    error_message = "The tag must have 1 to 128 letters, digits, underscores, dots and hyphens, and not be latest, which does not say which image is meant."
  }
}

variable "input_buckets" {
  description = "Names of the existing buckets with the manifests and the objects to label; each needs a CORS rule that allows GET."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.input_buckets) > 0 && alltrue([for name in var.input_buckets : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", name))])
    error_message = "At least one bucket is needed, each by its name alone, such as my-images."
  }
}

variable "kms_key_arn" {
  description = "ARN of a KMS key that encrypts data, logs, messages and tables; null for keys that AWS manages. Its policy must admit CloudWatch Logs and EventBridge."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "The KMS key must be given by its ARN, which ends in :key/ and the key's id; aliases don't work in policies."
  }
}

variable "lambda_package_dir" {
  description = "Folder with the functions' zip archives, relative to this folder; `make build` fills it."
  type        = string
  default     = "../dist/lambdas"
  nullable    = false
}

variable "layer_package_path" {
  description = "Path of the layer's zip archive, relative to this folder; `make build` makes it."
  type        = string
  default     = "../dist/layers/powertools.zip"
  nullable    = false
}

variable "log_level" {
  description = "Least important level that the functions log: DEBUG, INFO, WARNING, ERROR or CRITICAL."
  type        = string
  default     = "INFO"
  nullable    = false
}

variable "log_retention_in_days" {
  description = "Days that all logs are kept."
  type        = number
  default     = 365
  nullable    = false
}

variable "name_prefix" {
  description = "Beginning of every name; unique in the account, over all regions."
  type        = string
  nullable    = false

  # The longest name that is made of it, the data bucket's, has 18 characters more and may have 63; the longest event
  # rule's has 27 more and may have 64.
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name_prefix)) && length(var.name_prefix) <= 32
    error_message = "The prefix must have at most 32 lower-case letters and digits, with single hyphens between them, and begin with a letter."
  }
}

variable "network" {
  description = "Existing VPC and subnets for the Batch jobs, with a way to ECR, S3 and CloudWatch Logs; null to make a small private one."
  type = object({
    vpc_id     = string
    subnet_ids = list(string)
  })
  default = null
}

variable "notification_emails" {
  description = "E-mail addresses that are told how campaigns ended."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "ARN of the permissions boundary of every role; null for none."
  type        = string
  default     = null
}

variable "protect_data" {
  description = "Whether destroying the stack fails while the bucket holds objects, and the tables refuse to be deleted."
  type        = bool
  default     = true
  nullable    = false
}

variable "tags" {
  description = "Tags of everything, besides Application, ManagedBy and Stack."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "workforce" {
  description = "The region's private workforce: its Cognito user pool and app client, and the user group that forms the work team."
  type = object({
    user_pool  = string
    client_id  = string
    user_group = string
  })
  nullable = false
}
