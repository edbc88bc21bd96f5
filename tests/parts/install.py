"""Install real parts ahead of the tests: `python tests/parts/install.py [PART ...]`.

Without names, all of them. Exits with 1 only in CI (CI=true in the environment) and only for a
part that is not optional: elsewhere the tests of a part that cannot be had skip with the reason.
"""

# ruff: noqa: T201  -- a script prints
from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # `parts` is found, nothing is hidden

from parts import tiny_models
from parts.cache import STAMP, NotInstalledError, Part, installed
from parts.kinds import MODULES, module


def main() -> int:
    """Exit status."""
    names = ("models", *MODULES)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="*", help=f"any of {', '.join(names)}")
    chosen = parser.parse_args().part or names
    if unknown := set(chosen) - set(names):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    failed = [name for name in chosen for part in parts(name) if not ready(part)]
    return 1 if failed else 0


def parts(name: str) -> list[Part]:
    """What a name on the command line stands for."""
    if name == "models":
        return [tiny_models.part(kind, "tiny") for kind in tiny_models.KINDS]
    return [module(name).PART]


def ready(part: Part) -> bool:
    """Install `part`, say in one line how that went, and whether to go on."""
    started = time.monotonic()
    try:
        folder = installed(part)
    except NotInstalledError as error:
        print(f"{part.name}: {error}", file=sys.stderr)
        return error.optional or not os.environ.get("CI")
    taken_s = time.monotonic() - started
    print(f"{part.name}: ready after {taken_s:.1f} s, {(folder / STAMP).read_text()}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
