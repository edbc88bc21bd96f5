"""What watching a live model costs: the hooks of `costaudit.attach` per decode step.

    python bench/attach_overhead.py [--json]

The hooks sit on a module that computes nothing, so that their own cost stands alone; the step they
are compared with is the real decode step of bench/nvtx_overhead.py. Exits with 1 above the bar.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import torch
from nvtx_overhead import BAR_SHARE, decode_step_s

from costaudit.record.engines.clock import clock_for
from costaudit.record.watch import Watcher

CALLS, ROUNDS, SEQS = 2_000, 7, 8


class Cache:
    """A cache that says how long it is."""

    def get_seq_length(self) -> int:
        """Tokens per sequence."""
        return 100


class Nothing(torch.nn.Module):
    """A model without work."""

    def forward(self, **_: Any) -> object:
        """An answer that is not None."""
        return self


def call_s(model: Nothing) -> float:
    """Thread seconds of one call, the fastest round."""
    ids, cache = torch.ones((SEQS, 1), dtype=torch.long), Cache()
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time()
        for _ in range(CALLS):
            model(input_ids=ids, past_key_values=cache)
        best = min(best, (time.thread_time() - began) / CALLS)
    return best


def main() -> int:
    """Print the figures; 1 when the bar is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    as_json = parser.parse_args().json
    model = Nothing()
    plain_s = call_s(model)
    watcher = Watcher(
        model,
        clock=clock_for(torch.device("cpu")),
        pad_id=0,
        sink=lambda _: None,
        clock_s=time.monotonic,
    )
    watcher.open()
    hooks_s = call_s(model) - plain_s
    watcher.close()
    step_s = decode_step_s()
    if as_json:
        print(json.dumps({"hooks_s": hooks_s, "step_s": step_s, "share": hooks_s / step_s}))
    else:
        print(f"hooks        {hooks_s * 1e6:6.1f} us per call of {SEQS} sequences")
        print(f"decode step  {step_s * 1e3:6.2f} ms (one thread, 30 M parameters)")
        print(f"attach       {hooks_s / step_s:.3%} of a step (bar {BAR_SHARE:.1%})")
    return int(hooks_s / step_s > BAR_SHARE)


if __name__ == "__main__":
    sys.exit(main())
