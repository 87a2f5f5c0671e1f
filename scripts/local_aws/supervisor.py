"""Runs a container's program as its child and ends all of it when standard input reaches its end.

Run as a script with nothing but the standard library: ``python -I -S supervisor.py PROGRAM [ARGUMENT…]``.
It exits with the program's code, or 128 + n after signal n, once no process of the program is left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading


def main() -> None:
    # A process group of its own stands for the container: what the program starts is found and ended by it.
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, process_group=0)

    def kill_group() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)

    def watch() -> None:
        os.read(0, 1)
        kill_group()

    threading.Thread(target=watch, daemon=True).start()
    code = program.wait()
    kill_group()
    # At once, because the watching thread still blocks in read.
    os._exit(128 - code if code < 0 else code)


if __name__ == "__main__":
    main()
