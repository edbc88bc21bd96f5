"""Pipeline parallelism: spread the layers of one replica over twice the devices.

Why it costs      When weights leave little memory for the cache, few sequences share each reading
                  of the weights, and sequences are preempted. Two stages hold half of the layers
                  each: the pool more than doubles, and what crosses the link is one row of
                  activations for each token, not two all-reduces for each layer.
When it helps     KV memory ends the growth of the batch on devices whose link is slow (PCIe, two
                  hosts), and there are enough sequences to keep every stage at work.
When it does not  Memory is not short. Fewer sequences than stages: then one stage works while the
                  others wait. Inter-token latency at its bound: a token passes all stages, so it
                  comes no sooner. Devices with NVLink, where tensor parallelism shortens the step.
Risk              Time to the first token and between tokens do not fall, and rise by the hops. One
                  failing device stops the replica.
Verify            Tokens per second and device rise; preemptions fall; latencies stay within bounds.
Sources           Huang et al., "GPipe", 2019 (stages, and the bubble of too few micro-batches).
                  Agrawal et al., "Sarathi-Serve", OSDI 2024 (bubbles of uneven micro-batches, which
                  chunked prefill evens out). Links: PCIe 4.0 x16 about 25 GB/s in practice, 100 Gb
                  Ethernet 12.5 GB/s at most. Modelled: stages of equal work; the link was not
                  measured where the target runs on one device.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.playbook.admission import fitting, memory_binds
from costaudit.playbook.evidence import (
    LENGTHS,
    SETTINGS,
    count,
    unknown_pool,
    unknown_roof,
)
from costaudit.playbook.latency import misses
from costaudit.playbook.memory import with_memory
from costaudit.playbook.step import (
    Applicability,
    Applies,
    CannotTell,
    Confidence,
    DoesNotApply,
    Edge,
    Effort,
    Risk,
    Situation,
    Step,
    Turn,
)
from costaudit.whatif.parallel import with_parallelism

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

LINK_BYTES_PER_S = {Edge.LOW: 12.5e9, Edge.HIGH: 25e9}  # between hosts; PCIe 4.0 x16 in practice
MOST_DEVICES = 16  # of two hosts


def assess(situation: Situation) -> Applicability:
    """Memory ends the growth of the batch, with sequences for every stage, on few GPUs."""
    scenario, kv = situation.scenario, situation.outcome.kv
    if scenario.device_kind == "cpu":
        return DoesNotApply(why="on a CPU a replica's cores share one memory: nothing is gained")
    if not scenario.device_kind:
        return CannotTell(because="the kind of device is unknown, so its links are")
    if blind := unknown_roof(situation) or unknown_pool(situation):
        return blind
    if why := _why_not(situation):
        return DoesNotApply(why=why)
    larger = change(scenario, Edge.LOW)
    return Applies(
        evidence=(
            count("devices of a replica", scenario.devices, SETTINGS),
            count("preemptions for lack of KV memory", kv.preemptions),
            count("sequences that fit now", fitting(scenario), LENGTHS),
            count("sequences that fit on twice the devices", fitting(larger), LENGTHS),
        )
    )


def _why_not(situation: Situation) -> str:
    scenario = situation.scenario
    stages = 2 * scenario.step_time.peaks.stages
    if scenario.devices >= MOST_DEVICES:
        return f"a replica has {scenario.devices} devices already"
    if stages > scenario.shape.layers:
        return f"the model has {scenario.shape.layers} layers: no {stages} stages"
    if misses(situation, "itl_s"):
        return "a bound between tokens is missed: a token that passes more stages comes no sooner"
    if not memory_binds(scenario) and not situation.outcome.kv.preemptions:
        return "memory is not short: another stage would give less per device"
    if fitting(scenario) < stages:
        return f"fewer sequences fit than {stages} stages need to be at work"
    return ""


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """Twice the stages, their memory and their peaks; the link at its edge where it is unknown."""
    stages = 2 * scenario.step_time.peaks.stages
    if (
        scenario.devices >= MOST_DEVICES
        or scenario.step_time.free
        or stages > scenario.shape.layers
    ):
        return scenario
    larger = with_memory(scenario, 2.0)
    step_time = with_parallelism(
        scenario.step_time,
        pipeline=stages,
        link_bytes_per_s=scenario.step_time.peaks.link_bytes_per_s or LINK_BYTES_PER_S[edge],
    )
    return replace(larger, step_time=step_time, devices=2 * scenario.devices)


STEP = Step(
    id="pipeline-parallelism",
    title="Spread a replica's layers over twice the devices",
    category="parallelism",
    effort=Effort.DAYS,
    risk=Risk.LATENCY,
    confidence=Confidence.MODELLED,
    assess=assess,
    change=change,
    turn=Turn.EARLY,
    excludes=("replicas-instead", "tensor-parallelism"),
    snippets={
        "vllm": "vllm serve MODEL --pipeline-parallel-size 2",
        "sglang": "python -m sglang.launch_server --model-path MODEL --pp-size 2",
        "trtllm-serve": "trtllm-serve MODEL --pp_size 2",
        "llamacpp": "llama-server -m MODEL.gguf -ngl 99 -sm layer",
        "transformers": "# one process; layers take turns\n"
        'AutoModelForCausalLM.from_pretrained(MODEL, device_map="auto")',
    },
)
