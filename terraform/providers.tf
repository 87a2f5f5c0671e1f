provider "aws" {
  region = var.aws_region

  # An apply with another account's credentials stops before it changes anything.
  allowed_account_ids = var.allowed_account_ids

  default_tags {
    tags = merge(
      {
        Application = "truthloop"
        ManagedBy   = "terraform"
        Stack       = var.name_prefix
      },
      var.tags,
    )
  }
}
