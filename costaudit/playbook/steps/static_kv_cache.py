"""Static KV cache: allocate a batch's cache once instead of growing it token by token.

Why it costs      A dynamic cache of transformers is joined anew with every token: all keys and
                  values are read and written once more before attention reads them.
When it helps     In-process generation whose steps spend a noticeable part on the cache; long
                  contexts and many rows. On a GPU it is also what lets a step be compiled and
                  captured: cuda-graphs is the step for that.
When it does not  Servers page their cache already. Short answers behind short prompts: there is
                  little to copy. Batches whose length is not known when they start: attention
                  then reads all that was reserved.
Risk              The longest sequence is reserved from the first token on, so fewer may fit. Every
                  new length compiles anew where the step is compiled. Answers do not change, apart
                  from rounding.
Verify            `costaudit verify RUN --step static-kv-cache --target MODEL`; time per output
                  token at the longest context.
Sources           transformers 5.23 (2026), cache_utils.py: DynamicLayer.update joins by torch.cat,
                  StaticLayer writes in place by index_copy_ and hands out the whole buffer. The
                  bytes follow from that: a grown cache reads and writes itself once per step beside
                  the read of attention, three passes against one over what was reserved. How much
                  of the three the fitted time holds is not known, so the interval runs from none to
                  all of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.playbook.evidence import FITTED, LENGTHS, share, term_share, unknown_roof
from costaudit.playbook.step import (
    Applicability,
    Applies,
    Confidence,
    DoesNotApply,
    Edge,
    Effort,
    Risk,
    Situation,
    Step,
    Turn,
    unknown_knob,
)
from costaudit.whatif.scenario import KvLayout

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

MIN_SHARE = 0.02  # of the busy time; a change of less is lost in the noise
PASSES = 3  # over the cache in a step of a grown one: read and write to join it, read to attend


def assess(situation: Situation) -> Applicability:
    """A cache that grows, read in a noticeable part of the time."""
    scenario = situation.scenario
    if blind := unknown_knob(situation, "kv_layout"):
        return blind
    if scenario.knobs.kv_layout is KvLayout.PAGED:
        return DoesNotApply(why="the cache is given out in blocks: nothing is copied as it grows")
    if scenario.knobs.kv_layout is KvLayout.STATIC:
        return DoesNotApply(why="the cache is allocated once already")
    if blind := unknown_roof(situation):
        return blind
    reading = term_share(situation, "kv") or 0.0
    if reading < MIN_SHARE:
        return DoesNotApply(
            why=f"the cache takes {reading:.3f} of the busy time: there is little to copy"
        )
    return Applies(
        evidence=(
            share("busy time that reads and copies the cache", reading, FITTED),
            share("of the reserved cache that is written, on average", 1 / stretch(scenario)),
            share("of a step's passes over the cache that copy it", 1 - 1 / PASSES, LENGTHS),
        )
    )


def stretch(scenario: Scenario) -> float:
    """Reserved over written tokens of a decode step, mean over the traffic's batches.

    A batch reserves its longest prompt P and its longest output O; half of O is written on average.
    """
    widths: dict[object, tuple[int, int, int]] = {}
    for place, request in enumerate(scenario.traffic.requests):
        key = place // scenario.knobs.max_num_seqs if request.batch is None else request.batch
        rows, prompt, output = widths.get(key, (0, 0, 0))
        widths[key] = (
            rows + 1,
            max(prompt, request.prompt_tokens),
            max(output, request.output_tokens),
        )
    reserved = sum(rows * output * (prompt + output) for rows, prompt, output in widths.values())
    written = sum(rows * output * (prompt + output / 2) for rows, prompt, output in widths.values())
    return reserved / written if written else 1.0


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """Reads what is reserved; at the high end all the copying is gone, at the low end none."""
    if scenario.knobs.kv_layout is not KvLayout.DYNAMIC:
        return scenario
    passes = PASSES if edge is Edge.HIGH else 1
    requests = scenario.traffic.requests
    longest = max((r.prompt_tokens for r in requests), default=1) + max(
        (r.output_tokens for r in requests), default=1
    )
    return replace(
        scenario,
        knobs=replace(scenario.knobs, kv_layout=KvLayout.STATIC, max_model_len=longest),
        step_time=scenario.step_time.with_precision(kv_cost_factor=stretch(scenario) / passes),
    )


STEP = Step(
    id="static-kv-cache",
    title="Allocate the KV cache once",
    category="memory",
    effort=Effort.FLAG,
    risk=Risk.LATENCY,
    confidence=Confidence.MODELLED,
    assess=assess,
    change=change,
    snippets={
        "transformers": 'model.generate(**inputs, cache_implementation="static")',
    },
    excludes=("paged-kv-cache", "continuous-batching"),
    turn=Turn.EARLY,
)
