data "aws_caller_identity" "current" {}

module "event_rule" {
  source = "../../modules/event_rule"

  name                  = "my-team-nightly"
  description           = "Clean up every night."
  schedule_expression   = "cron(0 3 * * ? *)"
  function_arn          = module.clean_up.function_arn
  dead_letter_queue_arn = module.dead_letter_queue.queue_arn
}

module "clean_up" {
  source = "../../modules/lambda_function"

  function_name = "my-team-clean-up"
  service_name  = "clean_up"
  description   = "Deletes what nobody needs."
  # Made before, for instance with: python -m zipfile -c clean_up.zip handler.py
  package_path  = "${path.module}/clean_up.zip"
  failure_queue = { arn = module.dead_letter_queue.queue_arn }
}

module "dead_letter_queue" {
  source = "../../modules/dead_letter_queue"

  name       = "my-team-undelivered-events"
  account_id = data.aws_caller_identity.current.account_id
  aws_region = "us-east-1"
}
