variable "access_log_bucket_name" {
  description = "Name of an existing bucket that gets a log of every access to the data bucket which the stack makes; null for no log."
  type        = string
  default     = null
}

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
    compute_type   = optional(string)
    instance_types = optional(list(string))
    max_vcpus      = optional(number)
    job = optional(object({
      vcpus           = optional(number)
      memory_mib      = optional(number)
      gpus            = optional(number)
      timeout_seconds = optional(number)
      attempts        = optional(number)
    }))
    root_volume = optional(object({
      size_gib    = optional(number)
      kms_key_arn = optional(string)
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

variable "create_kms_key" {
  description = "Whether the stack makes a KMS key of its own that encrypts data, logs, messages and tables."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !(var.create_kms_key && var.kms_key_arn != null)
    error_message = "A stack has one KMS key: give either create_kms_key = true or kms_key_arn."
  }
}

variable "existing" {
  description = "Names and ARNs of things that exist: each is used instead of one that the stack would make. They must be known when a plan is made. What a data bucket tells EventBridge is its owner's matter: without its events no answers are recorded."
  type = object({
    auditors_workteam_arn = optional(string)
    data_bucket_name      = optional(string)
    dead_letter_queue_arn = optional(string)
    image_repository_arn  = optional(string)
    job_queue_arn         = optional(string)
    workteam_arn          = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.existing.auditors_workteam_arn == null || can(regex("^arn:[a-z-]+:sagemaker:${var.aws_region}:[0-9]{12}:workteam/private-crowd/[a-zA-Z0-9-]{1,63}$", var.existing.auditors_workteam_arn))
    error_message = "The auditors' existing work team must be given by the ARN of a private one in the stack's region, which ends in :workteam/private-crowd/ and the team's name."
  }

  validation {
    condition     = var.existing.auditors_workteam_arn == null ? true : var.existing.auditors_workteam_arn != var.existing.workteam_arn
    error_message = "Nobody audits their own labels: existing.workteam_arn and existing.auditors_workteam_arn must be two teams."
  }

  validation {
    condition     = var.existing.data_bucket_name == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.existing.data_bucket_name))
    error_message = "The existing data bucket must be given by its name alone, such as my-team-data."
  }

  validation {
    condition     = var.existing.dead_letter_queue_arn == null || can(regex("^arn:[a-z-]+:sqs:${var.aws_region}:[0-9]{12}:[a-zA-Z0-9_-]{1,80}$", var.existing.dead_letter_queue_arn))
    error_message = "The existing dead-letter queue must be given by the ARN of a standard SQS queue in the stack's region."
  }

  validation {
    condition     = var.existing.image_repository_arn == null || can(regex("^arn:[a-z-]+:ecr:[a-z0-9-]+:[0-9]{12}:repository/[a-z0-9._/-]+$", var.existing.image_repository_arn))
    error_message = "The existing image repository must be given by its ARN, which ends in :repository/ and the repository's name."
  }

  validation {
    condition     = var.existing.job_queue_arn == null || can(regex("^arn:[a-z-]+:batch:${var.aws_region}:[0-9]{12}:job-queue/[a-zA-Z0-9_-]{1,128}$", var.existing.job_queue_arn))
    error_message = "The existing job queue must be given by the ARN of a Batch queue in the stack's region, which ends in :job-queue/ and the queue's name."
  }

  validation {
    condition     = var.existing.workteam_arn == null || can(regex("^arn:[a-z-]+:sagemaker:${var.aws_region}:[0-9]{12}:workteam/private-crowd/[a-zA-Z0-9-]{1,63}$", var.existing.workteam_arn))
    error_message = "The existing work team must be given by the ARN of a private one in the stack's region, which ends in :workteam/private-crowd/ and the team's name."
  }
}

variable "image_repository_name" {
  description = "Name of the ECR repository of the Batch image, in the stack's account and region; terraform/bootstrap makes it. Not used with existing.image_repository_arn."
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
  description = "ARN of a KMS key that encrypts data, logs, messages and tables; null for keys that AWS manages. Its policy must admit CloudWatch Logs, EventBridge, CloudWatch alarms and Budgets, as that of modules/kms_key does."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:${var.aws_region}:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "The KMS key must be given by its ARN, which is of the stack's region and ends in :key/ and the key's id; aliases don't work in policies."
  }
}

variable "lambda_package_dir" {
  description = "Folder with the functions' zip archives; null for ../dist/lambdas beside this folder, which `make build` fills."
  type        = string
  default     = null
}

variable "layer_package_dir" {
  description = "Folder with the layers' zip archives; null for ../dist/layers beside this folder, which `make build` fills."
  type        = string
  default     = null
}

variable "log_execution_data" {
  description = "Whether the state machine's logs hold the data that passes between the states, task tokens among it; see modules/state_machine."
  type        = bool
  default     = true
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

variable "monitoring" {
  description = "US dollars that the stack may cost in a month, null for no budget, and what sets the alarms off; see modules/monitoring."
  type = object({
    monthly_budget_usd = optional(number)
    thresholds = optional(object({
      campaign_budget_percent  = optional(number)
      job_failure_percent      = optional(number)
      stuck_labeling_job_hours = optional(number)
    }), {})
  })
  default  = {}
  nullable = false
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
  description = "Existing VPC and subnets for the Batch jobs, with a way to ECR, S3 and CloudWatch Logs; null to make a small private one. Not used with existing.job_queue_arn."
  type = object({
    vpc_id     = string
    subnet_ids = list(string)
  })
  default = null

  validation {
    condition = (
      var.network != null || var.existing.job_queue_arn != null || var.existing.image_repository_arn == null
      || try(split(":", var.existing.image_repository_arn)[3] == var.aws_region, false)
    )
    error_message = "The network that the stack makes reaches ECR in the stack's own region alone: to pull the image from another region, give a network with a way there."
  }
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

variable "standalone_audits" {
  description = "Audits of labelling jobs that belong to no campaign: how the names of such jobs begin, null for none; what is audited, by the keys of a request's section audit; and how many people label a rejected object again. What they label and what they write must lie in input_buckets."
  type = object({
    job_name_prefix = optional(string)
    policy = optional(object({
      policy               = optional(string, "sample")
      random_share         = optional(number)
      risk_share           = optional(number)
      minimum              = optional(number)
      auto_sample          = optional(number)
      final_sample         = optional(number)
      auditors_per_object  = optional(number)
      relabel_rounds       = optional(number)
      workteam_arn         = optional(string)
      expert_workteam_arn  = optional(string)
      price_per_answer_usd = optional(number)
    }), {})
    workers_per_object = optional(number, 3)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.standalone_audits.job_name_prefix == null || can(regex("^[a-zA-Z0-9][a-zA-Z0-9-]{0,62}$", var.standalone_audits.job_name_prefix))
    error_message = "The beginning of the names of stand-alone jobs must have 1 to 63 letters, digits and hyphens, and not begin with a hyphen."
  }

  validation {
    condition     = contains(["sample", "all"], var.standalone_audits.policy.policy)
    error_message = "The policy of stand-alone audits must be sample or all; to audit none, leave job_name_prefix out."
  }

  validation {
    condition = alltrue([
      for share in [var.standalone_audits.policy.random_share, var.standalone_audits.policy.risk_share] :
      share == null ? true : share >= 0 && share <= 1
    ])
    error_message = "The shares of labels that stand-alone audits look at must be numbers from 0 to 1."
  }

  validation {
    condition = alltrue([
      for bounds in [
        { value = var.standalone_audits.policy.minimum, least = 1, most = 10000 },
        { value = var.standalone_audits.policy.auto_sample, least = 1, most = 10000 },
        { value = var.standalone_audits.policy.final_sample, least = 0, most = 10000 },
        { value = var.standalone_audits.policy.auditors_per_object, least = 1, most = 9 },
        { value = var.standalone_audits.policy.relabel_rounds, least = 0, most = 9 },
        { value = var.standalone_audits.workers_per_object, least = 1, most = 9 },
      ] :
      bounds.value == null ? true : bounds.value >= bounds.least && bounds.value <= bounds.most && floor(bounds.value) == bounds.value
    ])
    error_message = "In stand-alone audits minimum and auto_sample must be whole numbers from 1 to 10000, final_sample from 0 to 10000, auditors_per_object and workers_per_object from 1 to 9, relabel_rounds from 0 to 9."
  }

  validation {
    condition     = var.standalone_audits.policy.price_per_answer_usd == null ? true : var.standalone_audits.policy.price_per_answer_usd >= 0 && var.standalone_audits.policy.price_per_answer_usd <= 1000
    error_message = "The price of a verdict must be a number from 0 to 1000 US dollars."
  }

  validation {
    condition = (
      var.standalone_audits.job_name_prefix == null || var.standalone_audits.policy.workteam_arn != null
      || var.existing.auditors_workteam_arn != null || try(var.workforce.auditor_user_group, null) != null
    )
    error_message = "Stand-alone audits need auditors: give workforce.auditor_user_group, existing.auditors_workteam_arn or standalone_audits.policy.workteam_arn."
  }
}

variable "tags" {
  description = "Tags of everything, besides Application, ManagedBy and Stack."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "worker_activity" {
  description = "Log group in which Ground Truth keeps when workers take, decline and return tasks, so that declines and returns are recorded too; null to record answers alone. Ground Truth makes one group per account and region with the first task, so only one stack may create it, and only before; each group has room for two stacks."
  type = object({
    log_group_name   = optional(string, "/aws/sagemaker/groundtruth/WorkerActivity")
    create_log_group = optional(bool, false)
  })
  default = null
}

variable "workforce" {
  description = "The region's private workforce: its Cognito user pool and app client, the user group that forms the labelers' work team, and that of the auditors, null for no such team. A team that existing names is not made. Required without existing.workteam_arn."
  type = object({
    user_pool          = string
    client_id          = string
    user_group         = string
    auditor_user_group = optional(string)
  })
  default = null

  validation {
    condition     = var.workforce != null || var.existing.workteam_arn != null
    error_message = "Labelling jobs need a work team: give the workforce that it is made of, or existing.workteam_arn."
  }

  validation {
    condition     = try(var.workforce.auditor_user_group != var.workforce.user_group, true)
    error_message = "Nobody audits their own labels: user_group and auditor_user_group must be two groups."
  }
}
