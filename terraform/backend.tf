# The rest comes from envs/<environment>.s3.tfbackend; `make init ENV=<environment>` passes it.
terraform {
  backend "s3" {}
}
