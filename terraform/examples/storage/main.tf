module "storage" {
  source = "../../modules/storage"

  bucket_name          = "my-team-labelling-data"
  cors_allowed_origins = ["*"]
}
