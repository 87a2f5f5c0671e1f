# A development environment: cheap, and quickly made and destroyed. Replace the account, the buckets and the workforce by
# your own; with the account below nothing is applied. Environments may also share one account: put its number into all of
# them, here and in the bucket names of *.s3.tfbackend.
allowed_account_ids = ["111122223333"]
aws_region          = "us-east-1"
name_prefix         = "truthloop-dev"

# Existing buckets with the manifests and the objects to label; each needs a CORS rule that allows GET.
input_buckets = ["example-dev-objects-to-label"]

# Who is told how campaigns ended; AWS asks each address to confirm.
notification_emails = []

# Destroying the environment deletes its data. Without a key of its own everything is encrypted with keys that AWS manages.
protect_data   = false
create_kms_key = false

# Spot capacity costs less and may interrupt a job, which then runs again.
batch = {
  compute_type = "FARGATE_SPOT"
  max_vcpus    = 16
}

# US dollars that the environment may cost in a month before the topic is told; null for no budget. Costs are counted by
# the tag Stack, once it is a cost allocation tag of the account that pays. modules/monitoring explains the alarms.
monitoring = {
  monthly_budget_usd = 100
}

# What exists already and is to be used: auditors_workteam_arn, data_bucket_name, dead_letter_queue_arn,
# image_repository_arn, job_queue_arn, workteam_arn.
existing = {}

# An existing network, { vpc_id = "vpc-…", subnet_ids = ["subnet-…"] }; null makes a private one, whose interface endpoints
# cost money by the hour.
network = null

# The region's private workforce; `aws sagemaker list-workforces` shows pool and client. Who audits does not label, so the
# groups differ; auditor_user_group = null makes no team of auditors.
workforce = {
  user_pool          = "us-east-1_EXAMPLE"
  client_id          = "exampleclientid"
  user_group         = "labelers"
  auditor_user_group = "auditors"
}

# Labelling jobs outside campaigns are audited where their name begins with job_name_prefix.
standalone_audits = { job_name_prefix = null }

# { } subscribes to Ground Truth's log of what workers take, decline and return, once it exists; null records answers alone.
worker_activity = null
