data "aws_caller_identity" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
}

data "aws_iam_policy_document" "program" {
  statement {
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["arn:aws:s3:::my-bucket/jobs/*"]
  }
}

# Any VPC will do whose subnets have a way to ECR, S3 and CloudWatch Logs.
module "network" {
  source = "../../modules/network"

  name       = "my-team-jobs"
  account_id = local.account_id
  aws_region = "us-east-1"
}

module "batch" {
  source = "../../modules/batch"

  name_prefix          = "my-team"
  account_id           = local.account_id
  aws_region           = "us-east-1"
  vpc_id               = module.network.vpc_id
  subnet_ids           = module.network.subnet_ids
  image                = "${local.account_id}.dkr.ecr.us-east-1.amazonaws.com/my-program:3f2a9c1"
  image_repository_arn = "arn:aws:ecr:us-east-1:${local.account_id}:repository/my-program"
  command              = ["Ref::subcommand", "--input", "Ref::input"]
  job_policy_json      = data.aws_iam_policy_document.program.json

  job = { vcpus = 2, memory_mib = 8192 }
}
