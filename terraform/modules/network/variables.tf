variable "account_id" {
  description = "Account of the network; only its identities may pass through the endpoints."
  type        = string
  nullable    = false
}

variable "aws_region" {
  description = "Region of the network."
  type        = string
  nullable    = false
}

variable "cidr_block" {
  description = "Addresses of the VPC, shared equally by its two subnets; a Fargate task or an instance takes one address."
  type        = string
  default     = "10.20.0.0/20"
  nullable    = false

  validation {
    condition     = can(cidrhost(var.cidr_block, 0)) && try(tonumber(split("/", var.cidr_block)[1]) >= 16 && tonumber(split("/", var.cidr_block)[1]) <= 24, false)
    error_message = "The addresses must be an IPv4 block from /16 to /24, such as 10.20.0.0/20."
  }
}

variable "interface_endpoints" {
  description = "Services that are reached through interface endpoints, each by the end of its endpoint service's name; Fargate tasks need the default ones, instances ecs, ecs-agent and ecs-telemetry too."
  type        = set(string)
  default     = ["ecr.api", "ecr.dkr", "logs"]
  nullable    = false

  validation {
    condition     = alltrue([for name in var.interface_endpoints : can(regex("^[a-z][a-z0-9-]*(\\.[a-z0-9-]+)*$", name)) && !contains(["dynamodb", "s3"], name) && !startswith(name, "com.amazonaws.")])
    error_message = "A service must be given by what follows com.amazonaws.<region>. in its endpoint service's name, such as ecr.api; dynamodb and s3 have gateway endpoints already."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the flow logs; null for CloudWatch's own encryption."
  type        = string
  default     = null
}

variable "log_retention_in_days" {
  description = "Days that the flow logs are kept."
  type        = number
  default     = 365
  nullable    = false
}

variable "name" {
  description = "Name of the VPC, and the beginning of the names of all that is in it."
  type        = string
  nullable    = false

  # The longest name that is made of it, the role's, has 10 characters more and may have 64.
  validation {
    condition     = can(regex("^[a-zA-Z0-9][a-zA-Z0-9_-]{0,53}$", var.name))
    error_message = "The name must have 1 to 54 letters, digits, hyphens and underscores, and begin with a letter or digit."
  }
}

variable "permissions_boundary_arn" {
  description = "ARN of the permissions boundary of the flow logs' role; null for none."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
  nullable    = false
}
