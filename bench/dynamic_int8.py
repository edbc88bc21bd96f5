"""Speed of torch's dynamic int8 against float32 on one thread of this CPU, by layer and rows.

    python bench/dynamic_int8.py [--json]

The weight-quantization step takes its bounds for CPUs from such a run: reading is what counts at
one row to four, computing at 256 and more. Ratios above one: int8 is faster. A small matrix stays
in the processor's own cache, so that there is little reading to save.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from typing import Any

import torch

# (out, in): keys and values of a small model, its projections, its MLP; two of a large one.
LAYERS = ((128, 512), (512, 512), (1536, 512), (2048, 512), (1024, 1024), (4096, 4096))
ROWS = (1, 4, 16, 64, 256, 1024)
PIECE_S = 0.02
ROUNDS = 5


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    found = [
        {"out": out, "in": width, "rows": rows, "speedup": speedup(out, width, rows)}
        for out, width in LAYERS
        for rows in ROWS
    ]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print("float32 seconds over int8 seconds, median of interleaved rounds, one thread")
    print(f"{'layer':>12}" + "".join(f"{rows:>8}" for rows in ROWS))
    for out, width in LAYERS:
        own = [f["speedup"] for f in found if (f["out"], f["in"]) == (out, width)]
        print(f"{out}x{width:<6}".rjust(12) + "".join(f"{ratio:8.2f}" for ratio in own))


def speedup(out: int, width: int, rows: int) -> float:
    """Median over rounds of float32 time over int8 time."""
    torch.set_num_threads(1)
    plain = torch.nn.Sequential(torch.nn.Linear(width, out, bias=False)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao announces its successor
        quantize: Any = torch.ao.quantization.quantize_dynamic
        quantized = quantize(plain, {torch.nn.Linear}, dtype=torch.qint8)
    data = torch.randn(rows, width)
    with torch.inference_mode():
        return statistics.median(
            _seconds(plain, data) / _seconds(quantized, data) for _ in range(ROUNDS)
        )


def _seconds(layer: object, data: object) -> float:
    """Thread seconds of one call, over a piece long enough to time."""
    calls, spent = 0, 0.0
    while spent < PIECE_S:
        start = time.thread_time()
        layer(data)  # type: ignore[operator]  # a torch module
        spent += time.thread_time() - start
        calls += 1
    return spent / calls


if __name__ == "__main__":
    main()
