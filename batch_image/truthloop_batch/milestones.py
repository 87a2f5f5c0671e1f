"""The program's log: one line of JSON on standard output per milestone, for people and CloudWatch alike."""

from __future__ import annotations

import json
from typing import Any


def report(milestone: str, **fields: Any) -> None:
    """Print one milestone, such as ``{"milestone": "model-written", "arm": "model", "rows": 150}``.

    `fields` must be JSON; numbers keep their units in their names (`seconds`, `bytes`).
    """
    print(json.dumps({"milestone": milestone, **fields}, ensure_ascii=False), flush=True)
