data "aws_caller_identity" "current" {}

module "log_subscription" {
  source = "../../modules/log_subscription"

  name             = "my-team-worker-activity"
  account_id       = data.aws_caller_identity.current.account_id
  aws_region       = "us-east-1"
  log_group_name   = "/aws/sagemaker/groundtruth/WorkerActivity"
  create_log_group = true
  function_arn     = module.count_returns.function_arn
}

module "count_returns" {
  source = "../../modules/lambda_function"

  function_name = "my-team-count-returns"
  service_name  = "count_returns"
  description   = "Counts the entries that it gets."
  # Made before, for instance with: python -m zipfile -c count_returns.zip handler.py
  package_path  = "${path.module}/count_returns.zip"
  failure_queue = { arn = module.dead_letter_queue.queue_arn }
}

module "dead_letter_queue" {
  source = "../../modules/dead_letter_queue"

  name       = "my-team-lost-entries"
  account_id = data.aws_caller_identity.current.account_id
  aws_region = "us-east-1"
}
