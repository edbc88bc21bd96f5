"""The device waits between steps: the scheduler is the limit.

Why       Scheduling, sampling and launching kernels take longer than the step itself: a small
          model, no CUDA graphs, many ranks, no overlap.
Signature The server counts the seconds of its forward passes (SGLang), and they are less than 0.7
          of the time in which requests ran.
Not       vLLM and others, which do not count it: a step's time against the device's bandwidth would
          tell (`costaudit profile`).
Sources   vllm-project/vllm#6854, #10634, PR #11133 (5 to 6 ms down to 0.15 ms).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom
from costaudit.measure.window import RUNNING

if TYPE_CHECKING:
    from costaudit.measure.window import Window

BUSY = 0.7


def judge(w: Window) -> Answer:
    """Seconds of forward passes over seconds with requests."""
    busy, running = w.rate("gpu.busy_seconds_total"), w.levels(RUNNING)
    if busy is None or running is None:
        return CannotTell(because="the server does not count the seconds of its forward passes")
    if running.above_zero_share <= 0 or busy <= 0:
        return DoesNotShow(why="nothing ran")
    share = min(1.0, busy / running.above_zero_share)
    if share >= BUSY:
        return DoesNotShow(why="the device is busy while requests run")
    evidence = [
        signs.seen(w, "gpu.busy_seconds_total", "device busy while requests ran", share, "share")
    ]
    graphs = w.levels("batch.cuda_graph")
    if graphs is not None:
        evidence.append(
            signs.seen(w, "batch.cuda_graph", "steps by CUDA graph", graphs.mean, "share")
        )
    return Shows(evidence=tuple(evidence), cost_share=1 - share)


SYMPTOM = Symptom(
    id="step-gaps",
    title="The device waits between steps",
    cause="scheduling and launching take longer than the steps themselves",
    judge=judge,
    actions=("cuda-graphs", "async-scheduling"),
    steps=("cuda-graphs", "tensor-parallelism"),
)
