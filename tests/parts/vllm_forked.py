"""The program `vllm` with its engine forked, not spawned: 20 s until it is ready instead of 35.

Run by the Python of vLLM's own environment, with the arguments of `vllm`. What a process of its
engine is spawned for, it imports once more; vLLM forks by default, and only its CPU platform does
not, for settings of OpenMP that are the environment's here: one thread, bound to no core.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

gc.disable()  # thousands of modules, and nothing to collect: a quarter of the time
from vllm.entrypoints.cli.main import main  # noqa: E402
from vllm.entrypoints.openai import api_server  # noqa: E402, F401
from vllm.utils import system_utils  # noqa: E402
from vllm.v1.engine import core  # noqa: E402, F401
from vllm.v1.worker import cpu_worker  # noqa: E402, F401

gc.enable()


def let_go_of_the_port() -> None:
    """In the engine: only the process that answers holds the socket that listens."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for entry in list(Path("/proc/self/fd").iterdir()):
        with suppress(FileNotFoundError):  # what listed them is closed
            if entry.readlink().name.startswith("socket:"):
                with socket.socket(fileno=os.dup(int(entry.name))) as held:
                    if held.family in {socket.AF_INET, socket.AF_INET6}:
                        os.dup2(nothing, int(entry.name))
    os.close(nothing)


if __name__ == "__main__":
    system_utils.get_mp_context = lambda: multiprocessing.get_context("fork")
    os.register_at_fork(after_in_child=let_go_of_the_port)
    sys.argv[0] = "vllm"
    sys.exit(main())
