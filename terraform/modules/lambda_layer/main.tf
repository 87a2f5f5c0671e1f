resource "aws_lambda_layer_version" "this" {
  layer_name          = var.layer_name
  description         = var.description
  filename            = var.package_path
  source_code_hash    = filebase64sha256(var.package_path)
  compatible_runtimes = ["python3.12"]
}
