"""Another GPU: the cheapest device by what really binds.

Why it costs      Decoding pays for bandwidth, prefill for FLOPs, overhead for neither. A device
                  with more cores at the same bandwidth makes decoding no faster, at a higher price.
When it helps     The bill is bound by one resource, and another device sells that resource for less
                  per dollar, with memory enough for weights and cache.
When it does not  Overhead or waiting fill the steps: a faster device then waits more. Prices that
                  cannot be had; commitments to the present device.
Risk              Kernels and engines differ by generation; capacity may not be there; prices
                  change. Rates are the datasheet's, scaled by how well this model uses today's
                  device.
Verify            A recording of the same probe on the rented device before anything is signed, and
                  its dollars per million tokens beside today's.
Sources           Vendors' datasheets and list prices as this version carries them, each with source
                  and date: `facts/data/gpu_specs.csv` and `gpu_prices.csv`, as of 2026. Williams et
                  al., "Roofline", CACM 2009. Griggs et al., "Mélange: Cost Efficient Large Language
                  Model Serving by Exploiting GPU Heterogeneity", 2024. Modelled: fitted
                  efficiencies are carried over to the other device.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.playbook.devices import cheapest, moved
from costaudit.playbook.evidence import (
    share,
    unknown_pool,
    unknown_roof,
)
from costaudit.playbook.step import (
    Applicability,
    Applies,
    CannotTell,
    Confidence,
    DoesNotApply,
    Edge,
    Effort,
    Evidence,
    Risk,
    Situation,
    Step,
    Turn,
)
from costaudit.whatif.simulate import simulate

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

ENGINES = (
    "vllm",
    "sglang",
    "tgi",
    "trtllm-serve",
    "triton",
    "llamacpp",
    "lmdeploy",
    "transformers",
)
REACHED = {Edge.LOW: 0.85, Edge.HIGH: 1.0}  # of the datasheet's rates, against today's measured
MORE = 2.0  # times the FLOPs, or the bandwidth: which of them would help is evidence


def assess(situation: Situation) -> Applicability:
    """A device that serves this traffic for less, by its rates, memory and price."""
    scenario = situation.scenario
    if blind := unknown_roof(situation):
        return blind
    if scenario.device_kind == "cpu":
        flops, bandwidth = _saved_by_more(scenario)
        return DoesNotApply(
            why="the target runs on a CPU. Twice the cores at the same bandwidth would save"
            f" {flops:.2f} of its seconds, twice the bandwidth {bandwidth:.2f}"
        )
    if blind := _blind(situation):
        return blind
    found = cheapest(scenario)
    if found is None:
        return DoesNotApply(why="no listed device with room for the model serves this for less")
    flops, bandwidth = _saved_by_more(scenario)
    return Applies(
        evidence=(
            share("saved by twice the FLOPs at the same bandwidth", flops),
            share("saved by twice the bandwidth at the same FLOPs", bandwidth),
            Evidence(
                what=f"price of {found.name}",
                value=found.usd_per_device_h,
                unit="USD/h",
                where=f"facts: gpu_prices, {found.provider}, {found.as_of}",
            ),
        )
    )


def _blind(situation: Situation) -> CannotTell | None:
    scenario = situation.scenario
    if scenario.device_kind != "cuda":
        return CannotTell(because="the kind of device is unknown: --gpu would tell")
    if not scenario.prices.usd_per_device_h or scenario.prices.reserved:
        return CannotTell(because="the present on-demand price of an hour is unknown: give --price")
    return unknown_pool(situation)


def _saved_by_more(scenario: Scenario) -> tuple[float, float]:
    """Shares of the busy time that more FLOPs, and more bandwidth, alone would save."""
    peaks = scenario.step_time.peaks
    present = simulate(scenario).busy_s
    shares = []
    for field in ("flops_per_s", "bandwidth_bytes_per_s"):
        more = replace(peaks, **{field: getattr(peaks, field) * MORE})
        faster = replace(scenario, step_time=replace(scenario.step_time, peaks=more))
        shares.append(1 - simulate(faster).busy_s / present if present else 0.0)
    return shares[0], shares[1]


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """The traffic on the cheapest device: its rates, its memory and its price."""
    found = cheapest(scenario)
    return scenario if found is None else moved(scenario, found, REACHED[edge])


STEP = Step(
    id="another-gpu",
    title="Move to a GPU that sells more of what binds",
    category="hardware",
    effort=Effort.WEEKS,
    risk=Risk.NONE,
    confidence=Confidence.MODELLED,
    assess=assess,
    change=change,
    turn=Turn.EARLY,
    snippets=dict.fromkeys(
        ENGINES,
        "# rent one for an hour, and record the same probe there\n"
        "costaudit profile URL --probe chat -o other.costaudit\n"
        "costaudit compare run.costaudit other.costaudit",
    ),
)
