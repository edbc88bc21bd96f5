"""Keep one real server in the foreground: `python tests/parts/serve.py vllm --port 8000 ...`.

Flags that are not its own are handed to the server. Ctrl-C ends it.
"""

# ruff: noqa: T201  -- a script prints
from __future__ import annotations

import argparse
import inspect
import signal
import sys
from pathlib import Path

import psutil

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # `parts` is found, nothing is hidden

from parts.cache import NotInstalledError
from parts.kinds import MODULES, module
from parts.running import ServerFailedError
from parts.tiny_models import KINDS, SIZES, tiny_model


def main() -> int:
    """Exit status: 0 after Ctrl-C, 1 where there is no server, or none any more."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("kind", choices=MODULES)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--tiny", choices=KINDS, help="another model than its default")
    parser.add_argument("--size", choices=SIZES, default="tiny")
    known, flags = parser.parse_known_args()
    serve, chosen = module(known.kind).serve, {}
    if known.tiny or known.size != "tiny":
        if "model_dir" not in inspect.signature(serve).parameters:
            parser.error(f"{known.kind} takes no other model")
        chosen["model_dir"] = tiny_model(known.tiny or "llama", known.size)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"starting {known.kind}; before its first start it is installed: minutes", flush=True)
    try:
        with serve(*flags, port=known.port, **chosen) as server:
            print(f"{server.base_url} serves model {server.model!r}", flush=True)
            print(f"metrics: {server.metrics_url or 'none'}; log: {server.log}", flush=True)
            psutil.Process(server.pid).wait()
    except (NotInstalledError, ServerFailedError) as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
