"""One step of a phase inside its NVTX range, for Nsight Compute: run by gpu/ncu.py.

Arguments: the model's directory, prefill or decode, tokens, context, and a device but cuda.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from costaudit.record.engines.open_local import open_local
from costaudit.record.meters.nvtx_ranges import PhaseRanges
from costaudit.record.options import EngineSettings


def main(model: str, phase: str, tokens: int, context: int, device: str = "cuda") -> None:
    """Run the step once cold, then once between the profiler's start and stop."""
    import torch  # noqa: PLC0415 - late, as everywhere

    engine = open_local(
        model,
        device=device,
        dtype="bfloat16",
        dummy_weights=True,
        ranges=PhaseRanges(),
        settings=EngineSettings(cache="static"),
    )
    with closing(engine):
        prepared = (
            engine.prepare_prefill(seqs=1, new_tokens=tokens, cached_tokens=0)
            if phase == "prefill"
            else engine.prepare_decode(seqs=1, context_tokens=context, steps=1)
        )
        engine.timed(prepared.run)
        prepared.reset()
        if device != "cuda":
            prepared.run()
            return
        torch.cuda.synchronize()
        torch.cuda.profiler.start()  # type: ignore[no-untyped-call]
        prepared.run()
        torch.cuda.synchronize()
        torch.cuda.profiler.stop()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
