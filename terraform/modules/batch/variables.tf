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
  description = "What the jobs run on: FARGATE or EC2, or FARGATE_SPOT or SPOT, which cost less and may interrupt a job; GPUs need EC2 or SPOT."
  type        = string
  default     = "FARGATE"
  nullable    = false

  validation {
    condition     = contains(["FARGATE", "FARGATE_SPOT", "EC2", "SPOT"], var.compute_type)
    error_message = "The compute type must be FARGATE, FARGATE_SPOT, EC2 or SPOT."
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

variable "instance_types" {
  description = "Instance types and families that Batch may launch with EC2 or SPOT; optimal stands for its own choice among families without GPUs."
  type        = list(string)
  default     = ["optimal"]
  nullable    = false

  validation {
    condition     = length(var.instance_types) > 0 && alltrue([for name in var.instance_types : can(regex("^(optimal|[a-z][a-z0-9-]*(\\.[a-z0-9-]+)?)$", name))])
    error_message = "At least 1 instance type or family is needed, such as optimal, m7i or g5.xlarge."
  }

  validation {
    condition     = contains(["EC2", "SPOT"], var.compute_type) || join(",", var.instance_types) == "optimal"
    error_message = "Fargate has no instance types: leave them out, or take the compute type EC2 or SPOT."
  }

  validation {
    condition     = var.job.gpus == 0 || var.job_queue_arn != null || alltrue([for name in var.instance_types : can(regex("^(g|gr|p)[0-9]", name))])
    error_message = "A job with GPUs needs instance types of GPU families alone, whose names begin with g, gr or p and a digit, such as g5.xlarge."
  }
}

variable "job" {
  description = "Size of a job with its number of GPUs, the seconds that one attempt may take, and the number of attempts; without it 5 where jobs may be interrupted, and else 2."
  type = object({
    vcpus           = optional(number, 1)
    memory_mib      = optional(number, 4096)
    gpus            = optional(number, 0)
    timeout_seconds = optional(number, 14400)
    attempts        = optional(number)
  })
  default  = {}
  nullable = false

  # https://docs.aws.amazon.com/batch/latest/APIReference/API_ResourceRequirement.html
  validation {
    condition = contains(["EC2", "SPOT"], var.compute_type) || contains(
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
    error_message = "Fargate has no such size. Take 0.25, 0.5, 1, 2, 4, 8 or 16 vCPUs with a memory that Fargate offers for them, such as 1 vCPU with 2048 to 8192 MiB in steps of 1024; EC2 and SPOT take any size."
  }

  validation {
    condition     = !contains(["EC2", "SPOT"], var.compute_type) || (var.job.vcpus >= 1 && floor(var.job.vcpus) == var.job.vcpus && var.job.memory_mib >= 4 && floor(var.job.memory_mib) == var.job.memory_mib)
    error_message = "With EC2 and SPOT a job must have a whole number of vCPUs, 1 or more, and a whole number of MiB, 4 or more."
  }

  validation {
    condition     = var.job.gpus >= 0 && floor(var.job.gpus) == var.job.gpus && (var.job.gpus == 0 || contains(["EC2", "SPOT"], var.compute_type))
    error_message = "The number of GPUs must be a whole one, and 0 with Fargate: take the compute type EC2 or SPOT for jobs with GPUs."
  }

  validation {
    condition     = var.job.timeout_seconds >= 60 && try(var.job.attempts >= 1 && var.job.attempts <= 10, var.job.attempts == null)
    error_message = "An attempt must be allowed at least 60 seconds, and there must be 1 to 10 attempts."
  }
}

variable "job_policy_json" {
  description = "Policy document with what the program may do."
  type        = string
  nullable    = false
}

variable "job_queue_arn" {
  description = "ARN of an existing job queue to submit to, whose compute environments fit compute_type; null to make a queue with its compute environment."
  type        = string
  default     = null

  validation {
    condition     = var.job_queue_arn == null || can(regex("^arn:[a-z-]+:batch:${var.aws_region}:${var.account_id}:job-queue/[^/]+$", var.job_queue_arn))
    error_message = "The job queue must be given by the ARN of a queue in the jobs' own account and region, which ends in :job-queue/ and its name."
  }
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
    condition     = var.max_vcpus >= 1 && var.max_vcpus >= var.job.vcpus
    error_message = "The jobs need at least 1 vCPU, and no fewer than one of them asks for."
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

variable "root_volume" {
  description = "Encrypted root volume of an instance with EC2 or SPOT, which holds the images and the files of the jobs on it: its size, and the ARN of its KMS key; without it the account's default key for EBS."
  type = object({
    size_gib    = optional(number, 100)
    kms_key_arn = optional(string)
  })
  default  = {}
  nullable = false

  # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-ami-storage-config.html
  validation {
    condition     = var.root_volume.size_gib >= 30 && var.root_volume.size_gib <= 16384
    error_message = "The root volume must have 30 GiB, which the images of ECS need, to 16384 GiB."
  }
}

variable "subnet_ids" {
  description = "Ids of the subnets that the jobs run in, which need a way to ECR, S3 and CloudWatch Logs; required without job_queue_arn."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = var.job_queue_arn != null || length(var.subnet_ids) >= 1
    error_message = "The jobs need at least 1 subnet, or the ARN of an existing job queue."
  }
}

variable "tags" {
  description = "Tags of all resources, and of the jobs."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "vpc_id" {
  description = "Id of the VPC of the subnets; required without job_queue_arn."
  type        = string
  default     = null

  validation {
    condition     = var.job_queue_arn != null || var.vpc_id != null
    error_message = "The jobs need a VPC, or the ARN of an existing job queue."
  }
}
