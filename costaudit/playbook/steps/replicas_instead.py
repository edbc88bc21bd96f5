"""Replicas instead of tensor parallelism: the same devices, each replica on half of them.

Why it costs      Every layer of a model that is spread over devices waits for two all-reduces, and
                  small slices of matrices use a device badly. Two replicas of half the devices do
                  without the widest exchange.
When it helps     The weights fit on half the devices with room for the cache; links over PCIe;
                  enough requests to fill both replicas.
When it does not  The weights need all devices; memory is short, since the weights are held twice;
                  inter-token latency is at its bound, since each token then takes longer.
Risk              Each replica has its own prefix cache: requests that share an opening must meet
                  again at the same one. Inter-token latency rises.
Verify            Tokens per second and device rise on the same traffic; inter-token latency stays
                  within its bound; prefix hits do not fall.
Sources           vLLM issues 367, 1435 and 6131 (more tensor parallelism, no more speed). Shoeybi
                  et al., "Megatron-LM", 2019 (two all-reduces per layer). The link's cost is the
                  one fitted on this target; the rest is modelled from its peaks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.playbook.evidence import (
    FITTED,
    SETTINGS,
    count,
    share,
    term_share,
    tokens,
    unknown_pool,
    unknown_roof,
)
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
    unknown_knob,
)
from costaudit.whatif.parallel import with_parallelism

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

MIN_SHARE = 0.02  # of busy time on the link; less is not worth a second copy of the weights


def assess(situation: Situation) -> Applicability:
    """Devices that wait for each other, and weights that fit on half of them."""
    scenario = situation.scenario
    if blind := unknown_knob(situation, "tensor_parallel"):
        return blind
    if scenario.devices < 2 or scenario.step_time.peaks.devices < 2:  # noqa: PLR2004
        return DoesNotApply(why="a replica has one device: there is nothing to take apart")
    if blind := unknown_roof(situation) or unknown_pool(situation):
        return blind
    link = term_share(situation, "link")
    if link is None:
        return CannotTell(because="the time on the link was not told apart from the rest")
    if link < MIN_SHARE:
        return DoesNotApply(why=f"the link takes {link:.3f} of the busy time")
    return _by_room(situation, link)


def _by_room(situation: Situation, link: float) -> Applicability:
    scenario = situation.scenario
    smaller = change(scenario, Edge.LOW)
    longest = max((r.prompt_tokens + r.output_tokens for r in scenario.traffic.requests), default=0)
    if smaller.knobs.kv_budget_tokens < longest:
        return DoesNotApply(why=f"the weights need all {scenario.devices} devices")
    return Applies(
        evidence=(
            share("busy time on the link", link, FITTED),
            count("devices of a replica", scenario.devices, SETTINGS),
            tokens(
                "KV pool of a replica on half the devices",
                smaller.knobs.kv_budget_tokens,
                "model of the devices' memory",
            ),
        )
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """Twice the replicas, each on half the devices with half the memory; both edges agree."""
    del edge
    degree = scenario.step_time.peaks.devices
    if scenario.devices % 2 or degree % 2 or scenario.step_time.free:
        return scenario
    smaller = with_memory(scenario, 0.5)
    return replace(
        smaller,
        step_time=with_parallelism(scenario.step_time, tensor=degree // 2),
        devices=scenario.devices // 2,
        replicas=scenario.replicas * 2,
    )


STEP = Step(
    id="replicas-instead",
    title="Run two replicas instead of a wide one",
    category="parallelism",
    effort=Effort.DAYS,
    risk=Risk.LATENCY,
    confidence=Confidence.MODELLED,
    assess=assess,
    change=change,
    turn=Turn.EARLY,
    excludes=("pipeline-parallelism", "tensor-parallelism"),
    snippets={
        "vllm": "vllm serve MODEL --tensor-parallel-size 1 --data-parallel-size 2",
        "sglang": "python -m sglang.launch_server --model-path MODEL --tp-size 1 --dp-size 2",
        "tgi": (
            "# two launchers behind a load balancer\n"
            "CUDA_VISIBLE_DEVICES=0 text-generation-launcher --model-id MODEL --num-shard 1"
        ),
        "trtllm-serve": "# two servers behind a router\ntrtllm-serve MODEL --tp_size 1",
        "triton": "# config.pbtxt\ninstance_group [ { count: 2  kind: KIND_GPU } ]",
        "lmdeploy": "lmdeploy serve api_server MODEL --tp 1 --dp 2",
    },
)
