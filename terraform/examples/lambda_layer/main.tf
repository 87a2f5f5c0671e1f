module "lambda_layer" {
  source = "../../modules/lambda_layer"

  layer_name  = "my-team-helpers"
  description = "Helpers that several functions import."
  # Made before, for instance with: python -m zipfile -c helpers.zip python
  package_path = "${path.module}/helpers.zip"
}
