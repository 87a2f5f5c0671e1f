# The embedded AWS (`make local-aws`, `make demo`).
allowed_account_ids = ["123456789012"]
aws_region          = "us-east-1"
name_prefix         = "truthloop-local"

input_buckets       = ["truthloop-demo-digits"]
notification_emails = []

protect_data   = false
create_kms_key = false

batch = {
  compute_type = "FARGATE"
  max_vcpus    = 64
}

monitoring = {
  monthly_budget_usd = null
}

existing = {}
network  = null

workforce = {
  user_pool          = "us-east-1_LOCALPOOL"
  client_id          = "local-client"
  user_group         = "labelers"
  auditor_user_group = "auditors"
}

standalone_audits = { job_name_prefix = "standalone-" }
worker_activity   = { create_log_group = true }
