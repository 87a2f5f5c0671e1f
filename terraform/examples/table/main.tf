module "table" {
  source = "../../modules/table"

  name      = "my-team-ledger"
  hash_key  = "campaign"
  range_key = "entry"

  global_secondary_indexes = {
    by-status = { hash_key = "status", range_key = "started_at" }
  }

  # So that the example can be destroyed; leave it out where the entries matter.
  deletion_protection_enabled = false
}
