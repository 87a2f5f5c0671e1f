"""Where most mistakes are made."""

from __future__ import annotations

AUDIT = "terraform/state_machines/label_audit.asl.json"
ALARMS = "terraform/modules/monitoring/alarms.tf"
EXAMPLES = "terraform/examples"
LOOP = "terraform/state_machines/active_learning_loop.asl.json"
MAIN = "terraform/main.tf"
MODULES = "terraform/modules"
POLICIES = "terraform/iam_policies.tf"
