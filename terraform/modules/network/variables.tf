variable "aws_region" {
  description = "Region of the network."
  type        = string
  nullable    = false
}

variable "cidr_block" {
  description = "Addresses of the VPC, shared equally by its two subnets; a Fargate task takes one address."
  type        = string
  default     = "10.20.0.0/20"
  nullable    = false

  validation {
    condition     = can(cidrhost(var.cidr_block, 0)) && try(tonumber(split("/", var.cidr_block)[1]) >= 16 && tonumber(split("/", var.cidr_block)[1]) <= 24, false)
    error_message = "The addresses must be an IPv4 block from /16 to /24, such as 10.20.0.0/20."
  }
}

variable "name" {
  description = "Name of the VPC, and the beginning of the names of all that is in it."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
  nullable    = false
}
