"""Runs the real vLLM: each baseline is recorded, its traffic measured before and after a change.

Everything is kept in a folder and run only once: recordings as they are, measurements as one JSON
line each, so that the predictions can be made again without a server.
"""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import asdict, dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import CostauditError
from costaudit.record.probing.attach import find
from costaudit.record.probing.options import Limits, ServerOptions
from costaudit.record.probing.profile import record_server
from costaudit.record.servers.prompts import PromptMaker
from predicting.changes import Change, slug
from predicting.send import OPEN_STREAMS, once, others_share, processor_s, warm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from predicting.changes import Baseline, Changes

TESTS = Path(__file__).resolve().parents[2] / "tests"
# Said in so many words, for a server does not export them.
STATED = ("--max-num-seqs", "32", "--max-num-batched-tokens", "2048")
BEFORE = ""  # the name of no change
# Beside a neighbour nothing can be judged: what was disturbed is run again, the calmest counts.
BUSY_SHARE, TRIES = 0.1, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of a traffic; `others_share` is what other programs used of the processors."""

    baseline: str
    change: str
    flags: tuple[str, ...]
    traffic: str
    requests: int
    failed: int
    tokens: int
    wall_s: float
    ttft_p50_s: float
    ttft_p90_s: float
    itl_p50_s: float
    itl_mean_s: float
    others_share: float
    answers: tuple[tuple[float, ...], ...]  # intended, TTFT, end; prompt, cached, output tokens
    itl_s: tuple[float, ...] = ()  # its quantiles, in steps of 5 %

    @property
    def tokens_per_s(self) -> float:
        """Prompt and output tokens per second from the first request's start to the last end."""
        return self.tokens / self.wall_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run, `runs` times each traffic, and where it is kept."""

    changes: Changes
    folder: Path
    runs: int
    tell: Callable[[str], None]


def collect(plan: Plan, *, only: str = "") -> None:
    """Run what the folder does not hold yet; with `only`, of baselines whose name holds it."""
    for baseline in plan.changes.baselines:
        if only in baseline.name:
            _baseline(plan, baseline)


def recording_of(folder: Path, baseline: Baseline) -> Path:
    """Where a baseline's recording is kept."""
    return folder / f"{slug(baseline.name)}.costaudit"


def measured(folder: Path, baseline: Baseline, change: str) -> list[Measured]:
    """The kept runs, in the order they were made."""
    file = _lines(folder, baseline, change)
    if not file.exists():
        return []
    return [Measured(**json.loads(line)) for line in file.read_text().splitlines()]


def _lines(folder: Path, baseline: Baseline, change: str) -> Path:
    return folder / f"{slug(baseline.name)}--{slug(change) or 'before'}.jsonl"


def _baseline(plan: Plan, baseline: Baseline) -> None:
    """The recording and the runs before any change first: nothing of a change is known then.

    A server that does not come up with some flags, or fails, is told of; the others are measured
    still.
    """
    refused = _parts("running").ServerFailedError
    for flags, changes in servers_of(baseline).items():
        recorded = bool(flags) or recording_of(plan.folder, baseline).exists()
        if recorded and not any(_missing(plan, baseline, change.name) for change in changes):
            continue
        plan.tell(f"{baseline.name}, {' '.join(flags) or 'before'}: starting vLLM")
        try:
            with vllm(baseline, (*baseline.flags, *flags)) as server:
                run(plan, baseline, server, flags)
        except refused as why:
            plan.tell(f"{baseline.name}, {' '.join(flags)}: vLLM did not start: {why}")
        except CostauditError as why:
            plan.tell(f"{baseline.name}, {' '.join(flags)}: not measured: {why.message}")


def servers_of(baseline: Baseline) -> dict[tuple[str, ...], list[Change]]:
    """By the flags that a server needs behind the baseline's, what is measured on it."""
    before = Change(name=BEFORE, flags=(), traffic=baseline.traffic)
    servers: dict[tuple[str, ...], list[Change]] = {}
    for change in (before, *baseline.changes):
        servers.setdefault(change.flags, []).append(change)
    return servers


def run(plan: Plan, baseline: Baseline, server: Any, flags: tuple[str, ...]) -> None:
    """All that is missing on this server."""
    path = recording_of(plan.folder, baseline)
    if not flags and not path.exists():
        plan.tell(f"{baseline.name}: recording for {baseline.seconds:.0f} s")
        _record(plan, baseline, server, path)
    found = find(_options(plan, baseline, server, plan.folder / "unused"))
    warm(found)
    for change in servers_of(baseline)[flags]:
        measure(plan, baseline, server, change, found)


def _missing(plan: Plan, baseline: Baseline, change: str) -> int:
    return max(0, plan.runs - len(measured(plan.folder, baseline, change)))


def pool_bytes() -> int:
    """The KV pool that vLLM gets without a flag."""
    return int(_parts("vllm_cpu").KV_BYTES)


def _parts(name: str) -> Any:
    """A module of tests/parts."""
    if str(TESTS) not in sys.path:
        sys.path.append(str(TESTS))
    return import_module(f"parts.{name}")


def vllm(baseline: Baseline, flags: Sequence[str]) -> AbstractContextManager[Any]:
    """A server of the baseline's model, with these flags."""
    model_dir = _parts("tiny_models").tiny_model(baseline.model.kind, baseline.model.size)
    started = _parts("vllm_cpu").serve(*STATED, *flags, model_dir=model_dir)
    server: AbstractContextManager[Any] = started
    return server


def _record(plan: Plan, baseline: Baseline, server: Any, path: Path) -> None:
    """As `costaudit profile URL --knob …` does it; the calmest of up to TRIES recordings stays."""
    calmest = math.inf
    for _ in range(TRIES):
        half = path.with_suffix(".half")
        for old in path.parent.glob(f"{half.name}*"):
            old.unlink()
        before, began = processor_s(server), time.monotonic()
        record_server(_options(plan, baseline, server, half), progress=lambda _: None)
        others = others_share(server, before, began)
        plan.tell(f"{baseline.name}: recorded, others used {others:.2f} of the processors")
        if others < calmest:
            calmest = others
            half.rename(path)
        if others <= BUSY_SHARE:
            return


def _options(plan: Plan, baseline: Baseline, server: Any, path: Path) -> ServerOptions:
    return ServerOptions(
        url=server.base_url,
        path=path,
        probe=str(plan.changes.files[baseline.traffic]),
        time_budget_s=baseline.seconds,
        knobs=stated_knobs(baseline.flags),
        limits=Limits(concurrency=OPEN_STREAMS),
    )


def stated_knobs(flags: Sequence[str]) -> dict[str, int]:
    """What the server does not export, as a user gives it with --knob."""
    every = (*STATED, *flags)
    named = {"--max-num-seqs": "max_num_seqs", "--max-num-batched-tokens": "max_num_batched_tokens"}
    pairs = pairwise(every)
    return {named[flag]: int(value) for flag, value in pairs if flag in named}


def measure(plan: Plan, baseline: Baseline, server: Any, change: Change, found: Any) -> None:
    """What is missing of the runs of a change, on a server that has it."""
    for number in range(_missing(plan, baseline, change.name)):
        tried: list[Measured] = []
        while len(tried) < TRIES and (not tried or tried[-1].others_share > BUSY_SHARE):
            prompts = PromptMaker.of(found, seed=number + 1)
            one = Measured(
                baseline=baseline.name,
                change=change.name,
                flags=(*baseline.flags, *change.flags),
                traffic=change.traffic,
                **once(server, found, prompts, plan.changes.workloads[change.traffic]),
            )
            tried.append(one)
            plan.tell(
                f"{baseline.name}, {change.name or 'before'}: {one.tokens_per_s:.0f} tokens/s,"
                f" TTFT {one.ttft_p50_s * 1e3:.1f} ms, ITL {one.itl_p50_s * 1e3:.2f} ms,"
                f" {one.wall_s:.1f} s, others used {one.others_share:.2f} of the processors"
            )
        calmest = min(tried, key=lambda run: run.others_share)
        with _lines(plan.folder, baseline, change.name).open("a") as file:
            file.write(json.dumps(asdict(calmest)) + "\n")
