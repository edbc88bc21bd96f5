"""Tensor parallelism: spread one replica over twice the devices.

Why it costs      When weights leave little memory for the cache, few sequences share each reading
                  of the weights, and sequences are preempted. Two devices hold the weights once and
                  have twice the memory: the pool more than doubles.
When it helps     KV memory ends the growth of the batch, or inter-token latency misses its bound;
                  devices with a fast link (NVLink).
When it does not  Memory is not short and latency is kept: then every device more pays the link and
                  gives less per device. Links over PCIe. More devices than KV heads, which then
                  hold copies of the cache.
Risk              Each layer waits for two all-reduces. One failing device stops the replica.
Verify            Tokens per second and device, not tokens per second, rise; preemptions fall;
                  inter-token latency falls.
Sources           Shoeybi et al., "Megatron-LM", 2019 (two all-reduces per layer). vLLM issues 1873
                  and 732 (no faster over PCIe). Links: NVLink of H100 450 GB/s and direction, PCIe
                  4.0 x16 about 25 GB/s in practice. Modelled: the link was not measured where the
                  target runs on one device.
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

LINK_BYTES_PER_S = {Edge.LOW: 25e9, Edge.HIGH: 450e9}  # PCIe 4.0 x16 in practice; NVLink of H100
MOST_DEVICES = 8  # of one host


def assess(situation: Situation) -> Applicability:
    """Memory ends the growth of the batch, or decoding is too slow, on few GPUs."""
    scenario, kv = situation.scenario, situation.outcome.kv
    if scenario.device_kind == "cpu":
        return DoesNotApply(why="on a CPU a replica's cores share one memory: nothing is gained")
    if not scenario.device_kind:
        return CannotTell(because="the kind of device is unknown, so its links are")
    if blind := unknown_roof(situation) or unknown_pool(situation):
        return blind
    if scenario.devices >= MOST_DEVICES:
        return DoesNotApply(why=f"a replica has {scenario.devices} devices already")
    slow = misses(situation, "itl_s")
    if not memory_binds(scenario) and not kv.preemptions and not slow:
        return DoesNotApply(
            why="memory is not short and no bound on inter-token latency is missed: another device"
            " would pay the link and give less per device"
        )
    larger = change(scenario, Edge.LOW)
    return Applies(
        evidence=(
            count("devices of a replica", scenario.devices, SETTINGS),
            count("preemptions for lack of KV memory", kv.preemptions),
            count("sequences that fit now", fitting(scenario), LENGTHS),
            count("sequences that fit on twice the devices", fitting(larger), LENGTHS),
        )
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """Twice the devices, their memory and their peaks; the link at its edge where it is unknown."""
    if scenario.devices >= MOST_DEVICES or scenario.step_time.free:
        return scenario
    larger = with_memory(scenario, 2.0)
    step_time = with_parallelism(
        scenario.step_time,
        tensor=2 * scenario.step_time.peaks.devices,
        link_bytes_per_s=scenario.step_time.peaks.link_bytes_per_s or LINK_BYTES_PER_S[edge],
    )
    return replace(larger, step_time=step_time, devices=2 * scenario.devices)


STEP = Step(
    id="tensor-parallelism",
    title="Spread a replica over twice the devices",
    category="parallelism",
    effort=Effort.DAYS,
    risk=Risk.LATENCY,
    confidence=Confidence.MODELLED,
    assess=assess,
    change=change,
    turn=Turn.EARLY,
    excludes=("pipeline-parallelism", "replicas-instead"),
    snippets={
        "vllm": "vllm serve MODEL --tensor-parallel-size 2",
        "sglang": "python -m sglang.launch_server --model-path MODEL --tp-size 2",
        "tgi": "text-generation-launcher --model-id MODEL --num-shard 2",
        "trtllm-serve": "trtllm-serve MODEL --tp_size 2",
        "llamacpp": "llama-server -m MODEL.gguf -ngl 99 -sm row",
        "lmdeploy": "lmdeploy serve api_server MODEL --tp 2",
        "transformers": "# torchrun --nproc-per-node 2\n"
        'AutoModelForCausalLM.from_pretrained(MODEL, tp_plan="auto")',
    },
)
