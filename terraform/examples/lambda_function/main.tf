data "aws_iam_policy_document" "count_objects" {
  statement {
    actions   = ["s3:ListBucket"]
    resources = ["arn:aws:s3:::my-bucket"]
  }
}

module "count_objects" {
  source = "../../modules/lambda_function"

  function_name = "my-team-count-objects"
  service_name  = "count_objects"
  description   = "Counts the objects of a bucket."
  # Made before, for instance with: python -m zipfile -c count_objects.zip handler.py
  package_path    = "${path.module}/count_objects.zip"
  policy_json     = data.aws_iam_policy_document.count_objects.json
  environment     = { BUCKET = "my-bucket" }
  timeout_seconds = 30
}
