variable "account_id" {
  description = "Account of the jobs; only ECS tasks in it may take the roles."
  type        = string
  nullable    = false
}

variable "aws_region" {
  description = "Region of the jobs."
  type        = string
  nullable    = false
}

variable "command" {
  description = "Arguments of the image's program; Ref::name stands for the job's parameter of that name."
  type        = list(string)
  nullable    = false
}

variable "compute_type" {
  description = "What the jobs run on: FARGATE, or FARGATE_SPOT, which costs less and may interrupt a job."
  type        = string
  default     = "FARGATE"
  nullable    = false

  validation {
    condition     = contains(["FARGATE", "FARGATE_SPOT"], var.compute_type)
    error_message = "The compute type must be FARGATE or FARGATE_SPOT."
  }
}

variable "environment" {
  description = "Environment variables of the program."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "image" {
  description = "Image of the program with its tag or digest."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("(:[^:/]+|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "The image needs a tag other than latest, or a digest: a job definition must always mean the same program."
  }
}

variable "image_repository_arn" {
  description = "ARN of the ECR repository that the image is pulled from."
  type        = string
  nullable    = false
}

variable "job" {
  description = "Size of a job, the seconds that one attempt may take, and the number of attempts."
  type = object({
    vcpus           = optional(number, 1)
    memory_mib      = optional(number, 4096)
    timeout_seconds = optional(number, 14400)
    attempts        = optional(number, 2)
  })
  default  = {}
  nullable = false

  # https://docs.aws.amazon.com/batch/latest/APIReference/API_ResourceRequirement.html
  validation {
    condition = contains(
      lookup({
        "0.25" = [512, 1024, 2048]
        "0.5"  = [1024, 2048, 3072, 4096]
        "1"    = range(2048, 8193, 1024)
        "2"    = range(4096, 16385, 1024)
        "4"    = range(8192, 30721, 1024)
        "8"    = range(16384, 61441, 4096)
        "16"   = range(32768, 122881, 8192)
      }, tostring(var.job.vcpus), []),
      var.job.memory_mib,
    )
    error_message = "Fargate has no such size. Take 0.25, 0.5, 1, 2, 4, 8 or 16 vCPUs with a memory that Fargate offers for them, such as 1 vCPU with 2048 to 8192 MiB in steps of 1024."
  }

  validation {
    condition     = var.job.timeout_seconds >= 60 && var.job.attempts >= 1 && var.job.attempts <= 10
    error_message = "An attempt must be allowed at least 60 seconds, and there must be 1 to 10 attempts."
  }
}

variable "job_policy_json" {
  description = "Policy document with what the program may do."
  type        = string
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the logs and that the program may use for its data; null for keys that AWS manages."
  type        = string
  default     = null
}

variable "log_retention_in_days" {
  description = "Days that the logs are kept."
  type        = number
  default     = 365
  nullable    = false
}

variable "max_vcpus" {
  description = "Number of vCPUs that all jobs together may use at a time."
  type        = number
  default     = 64
  nullable    = false

  validation {
    condition     = var.max_vcpus >= 1
    error_message = "The jobs need at least 1 vCPU."
  }
}

variable "name_prefix" {
  description = "Beginning of the names of all resources."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9][a-zA-Z0-9_-]{0,47}$", var.name_prefix))
    error_message = "The prefix must have 1 to 48 letters, digits, hyphens and underscores, and begin with a letter or digit."
  }
}

variable "permissions_boundary_arn" {
  description = "ARN of the permissions boundary of the roles; null for none."
  type        = string
  default     = null
}

variable "subnet_ids" {
  description = "Ids of the subnets that the jobs run in; they need a way to ECR, S3 and CloudWatch Logs."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) >= 1
    error_message = "The jobs need at least 1 subnet."
  }
}

variable "tags" {
  description = "Tags of all resources, and of the jobs."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "vpc_id" {
  description = "Id of the VPC of the subnets."
  type        = string
  nullable    = false
}
