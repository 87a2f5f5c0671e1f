# A development environment. Put your own account, buckets and workforce; with the account below nothing is applied.
allowed_account_ids = ["111122223333"]
aws_region          = "us-east-1"
name_prefix         = "truthloop-dev"

# Existing buckets with the manifests and the objects to label.
input_buckets       = ["example-objects-to-label"]
notification_emails = []
protect_data        = true

# An existing network, { vpc_id = "vpc-…", subnet_ids = ["subnet-…"] }; null makes a private one, whose three interface
# endpoints cost money by the hour.
network = null

# The region's private workforce; `aws sagemaker list-workforces` shows pool and client.
workforce = {
  user_pool  = "us-east-1_EXAMPLE"
  client_id  = "exampleclientid"
  user_group = "labelers"
}
