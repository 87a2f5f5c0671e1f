variable "description" {
  description = "What the layer holds."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.description) <= 256
    error_message = "The description must have at most 256 characters."
  }
}

variable "layer_name" {
  description = "Name of the layer."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,64}$", var.layer_name))
    error_message = "The layer name must have 1 to 64 letters, digits, hyphens and underscores."
  }
}

variable "package_path" {
  description = "Path of the layer's zip archive, which was built outside Terraform and has a folder `python`."
  type        = string
  nullable    = false
}
