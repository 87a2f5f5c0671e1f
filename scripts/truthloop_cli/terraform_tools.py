"""Finds a local mirror of Terraform providers, so that machines without the registry can run Terraform."""

from __future__ import annotations

import os
from pathlib import Path

PROVIDER = Path("registry.terraform.io") / "hashicorp" / "aws"
# https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
IMPLIED_MIRRORS = (
    "~/.terraform.d/plugins",
    "~/.local/share/terraform/plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
)


def find_plugin_dir() -> Path | None:
    """Return the first folder that mirrors the AWS provider, None where only the registry is left.

    TF_PLUGIN_DIR comes first, then Terraform's implied local mirrors, then /opt/*.
    """
    configured = os.environ.get("TF_PLUGIN_DIR")
    candidates = [Path(configured)] if configured else []
    candidates += [Path(mirror).expanduser() for mirror in IMPLIED_MIRRORS]
    candidates += sorted(path.parent for path in Path("/opt").glob("*/registry.terraform.io"))
    return next((folder for folder in candidates if (folder / PROVIDER).is_dir()), None)


if __name__ == "__main__":
    print(find_plugin_dir() or "")
