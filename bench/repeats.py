"""How much do the same loads differ from one round to the next? On a real vLLM on this machine.

    python bench/repeats.py [--rounds N]

Each round sends prompts of three lengths alone, five of them together, and passes of two traffics,
one after the other: the server stays the same, so what differs between rounds is the machine.
Printed for each load are its median seconds and their standard deviation of logarithms, of which
`BRIEF_S` of `costaudit/whatif/seen_load.py` and `STEP_SHARE` of `calibrate.py` are made.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path
from statistics import median, stdev

from predicting.changes import read_changes
from predicting.collect import vllm
from predicting.send import once, warm

from costaudit.record.probing.attach import find
from costaudit.record.probing.options import ServerOptions
from costaudit.record.servers.prompts import PromptMaker

LENGTHS = (256, 512, 1024)
SERVER = """
[[model]]
name = "deep"
kind = "qwen3"
size = "256x8"
[[baseline]]
name = "repeats"
model = "deep"
traffic = "halves"
flags = ["--dtype", "float32", "--no-enable-prefix-caching"]
change = [{ name = "none" }]
"""
TRAFFIC = """
[[traffic]]
name = "{name}"
requests = {requests}
prompt_tokens = {prompts}
output_tokens = {outputs}
load = {{ concurrency = {streams} }}
"""


def main() -> None:
    """Print a line for each load."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=12, help="how often each load is sent (12)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "list.toml"
        file.write_text(SERVER + "".join(TRAFFIC.format(**load) for load in _loads()))
        changes = read_changes(file, Path(folder))
        baseline = changes.baselines[0]
        took_s: dict[str, list[float]] = {name: [] for name in changes.workloads}
        with vllm(baseline, baseline.flags) as server:
            url, probe = server.base_url, str(changes.files["halves"])
            found = find(ServerOptions(url=url, path=Path(folder) / "unused", probe=probe))
            warm(found)
            for number in range(rounds):
                prompts = PromptMaker.of(found, seed=number + 1)
                for name, workload in changes.workloads.items():
                    took_s[name].append(once(server, found, prompts, workload)["wall_s"])
    for name, seconds in took_s.items():
        spread = stdev(map(math.log, seconds)) if rounds > 1 else math.nan
        print(f"{name:<16} {median(seconds):7.2f} s   differs by {spread:.3f}")


def _loads() -> list[dict[str, object]]:
    """As the list has them: prompts alone, together, and halves and wholes of a traffic."""
    single: dict[str, object] = {"outputs": 1}
    alone = [
        {**single, "name": f"3 x {n} alone", "prompts": n, "requests": 3, "streams": 1}
        for n in LENGTHS
    ]
    bursts = [
        {**single, "name": f"5 x {n} at once", "prompts": n, "requests": 5, "streams": 5}
        for n in LENGTHS[:2]
    ]
    span = '{{ distribution = "uniform", min = {}, max = {} }}'.format
    passes = [
        {"name": name, "prompts": span(*p), "outputs": span(*o), "requests": n, "streams": 16}
        for name, p, o, n in (
            ("halves", (128, 384), (4, 12), 40),
            ("wholes", (256, 768), (8, 24), 32),
        )
    ]
    return [*alone, *bursts, *passes]


if __name__ == "__main__":
    main()
