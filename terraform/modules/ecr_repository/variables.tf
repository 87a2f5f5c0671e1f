variable "force_delete" {
  description = "Whether destroying the repository deletes the images in it."
  type        = bool
  default     = false
  nullable    = false
}

variable "kept_images" {
  description = "Number of images that are kept; the oldest ones beyond it are deleted."
  type        = number
  default     = 50
  nullable    = false

  validation {
    condition     = var.kept_images >= 1
    error_message = "At least 1 image must be kept."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the images; null for keys that S3 manages. Changing it replaces the repository."
  type        = string
  default     = null
}

variable "name" {
  description = "Name of the repository."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", var.name)) && length(var.name) >= 2
    error_message = "The repository name must have at least 2 lower-case letters and digits, with single dots, slashes, hyphens or underscores between them."
  }
}

variable "tags" {
  description = "Tags of the repository."
  type        = map(string)
  default     = {}
  nullable    = false
}
