variable "code_signing_config_arn" {
  description = "ARN of the code signing configuration that the archive must pass; null to take it unsigned."
  type        = string
  default     = null
}

variable "description" {
  description = "What the function does."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.description) <= 256
    error_message = "The description must have at most 256 characters."
  }
}

variable "environment" {
  description = "Environment variables, besides LOG_LEVEL and those of Powertools, which the module sets."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "failure_queue" {
  description = "SQS queue, by its ARN, that gets the events of asynchronous invocations which failed every retry; null for a function that is only invoked synchronously."
  type        = object({ arn = string })
  default     = null
}

variable "function_name" {
  description = "Name of the function and of its role."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,64}$", var.function_name))
    error_message = "The function name must have 1 to 64 letters, digits, hyphens and underscores."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the logs and the environment, and that the function may use for its data; null for keys that AWS manages."
  type        = string
  default     = null
}

variable "layer_arns" {
  description = "ARNs of the layer versions that the function uses."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "log_level" {
  description = "Least important level that the function logs."
  type        = string
  default     = "INFO"
  nullable    = false

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], var.log_level)
    error_message = "The log level must be DEBUG, INFO, WARNING, ERROR or CRITICAL."
  }
}

variable "log_retention_in_days" {
  description = "Days that the logs are kept."
  type        = number
  default     = 365
  nullable    = false
}

variable "memory_mb" {
  description = "Memory in MB; a function's share of the processor grows with it."
  type        = number
  default     = 256
  nullable    = false

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240
    error_message = "The memory must be 128 to 10240 MB."
  }
}

variable "metrics_namespace" {
  description = "CloudWatch namespace of the function's metrics."
  type        = string
  default     = "Truthloop"
  nullable    = false
}

variable "package_path" {
  description = "Path of the function's zip archive, which was built outside Terraform and has a handler.py with a function lambda_handler."
  type        = string
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "ARN of the permissions boundary of the role; null for none."
  type        = string
  default     = null
}

variable "policy_json" {
  description = "Policy document with what the function may do besides writing logs and traces; null for nothing."
  type        = string
  default     = null
}

variable "reserved_concurrency" {
  description = "Number of invocations that may run at a time and that the account keeps free for the function, 0 stops it; null for a share of what the account has left."
  type        = number
  default     = null

  validation {
    condition     = var.reserved_concurrency == null || try(var.reserved_concurrency >= 0 && floor(var.reserved_concurrency) == var.reserved_concurrency, false)
    error_message = "The reserved concurrency must be a whole number from 0; null reserves nothing."
  }
}

variable "service_name" {
  description = "Name under which the function's logs, metrics and traces appear."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Tags of the function, its log group and its role."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "timeout_seconds" {
  description = "Seconds after which an invocation is ended."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 900
    error_message = "The timeout must be 1 to 900 seconds."
  }
}
