"""Columns of one steady serving situation: what each cause would cost one output token.

A row of a table is a client that keeps `sequences` requests open. Per decode step of all of them,
`(B − 1)/osl` other prompts are prefilled on the side. The columns are those of the step-time form,
split further where tables pool what a single target holds fixed: models of many depths, experts,
attention spread by data parallelism.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.target import work
from costaudit.target.load import StepLoad
from costaudit.whatif.form import Hosted, Peaks, columns
from serving.layout import PARAM_BYTES, flops_of, link_of

if TYPE_CHECKING:
    from costaudit.facts.gpus import GpuSpec
    from costaudit.target.shape import ModelShape
    from serving.layout import Layout

MEMORY_SHARE = 0.92  # of a device's memory that weights and KV cache may fill
# Of B clients that start together, the last to be prefilled is interrupted by nobody: the share
# of the other prompts that interrupt a request is B/(B + 3), read off runs at one length each.
LOCKSTEP = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One configuration of one model under one steady load."""

    shape: ModelShape
    spec: GpuSpec
    layout: Layout
    precision: str
    engine: str
    sequences: float  # requests open at once, on all devices together
    prompt_tokens: float
    output_tokens: float


def features(at: Situation) -> dict[str, float]:
    """Seconds at the peaks (or counts) by cause, per output token; see `COLUMNS`."""
    shape, layout = at.shape, at.layout
    ranks = layout.devices if layout.data_parallel else 1
    decode = columns(_decode(at), _hosted(at))
    prefill = columns(_prefill(at), _hosted(at))
    weights, experts = _weights(at)
    context_s = decode["decode_compute"] - _linear_s(at)
    to_half = flops_of(at.spec, at.precision) / flops_of(at.spec, "bf16")  # attention is 16-bit
    copies = max(1.0, layout.devices / (1 if shape.latent else shape.kv_heads))
    moe_layers = shape.layers if shape.experts else 0
    prompts = _prefill(at).prefill_seqs
    spread = layout.devices > 1
    return {
        "overhead": 1.0,
        "layers": float(shape.layers),
        "moe_layers": float(moe_layers),
        "sequences": at.sequences / ranks,
        "weights": weights,
        "experts": experts,
        "kv": decode["kv"] / (copies if layout.data_parallel else 1.0),
        "decode_linear": _linear_s(at),
        "decode_attention": context_s * to_half,
        "prefill_linear": prefill["prefill_compute"] - prefill["prefill_attention"],
        "prefill_attention": prefill["prefill_attention"] * to_half,
        "prefill_prompts": prompts,
        "prefill_layers": prompts * shape.layers * (1.0 if spread else 0.5),
        "link_decode": decode["link"] / ranks,
        "link_prefill": prefill["link"] / ranks,
        "link_latency": decode["link_latency"],
    }


def fits(at: Situation) -> bool:
    """Do the weights and the cache of all sequences at their full length fit in memory?"""
    shape, layout = at.shape, at.layout
    tokens = at.prompt_tokens + at.output_tokens
    copies = max(1.0, layout.devices / (1 if shape.latent else shape.kv_heads))
    cache = work.kv_bytes(shape, tokens, _kv_element_bytes(at)) * at.sequences
    cache *= 1.0 if layout.data_parallel else copies
    weights = work.total_params(shape) * PARAM_BYTES[at.precision]
    devices = layout.devices * layout.stages
    return weights + cache < MEMORY_SHARE * at.spec.memory_gb * 1e9 * devices


def _hosted(at: Situation) -> Hosted:
    devices = at.layout.devices
    return Hosted(
        shape=at.shape,
        peaks=Peaks(
            flops_per_s=flops_of(at.spec, at.precision) * devices,
            bandwidth_bytes_per_s=at.spec.bandwidth_bytes_per_s * devices,
            link_bytes_per_s=link_of(at.spec),
            devices=devices,
        ),
        param_bytes=PARAM_BYTES[at.precision],
        kv_element_bytes=_kv_element_bytes(at),
    )


def _kv_element_bytes(at: Situation) -> float:
    """TensorRT-LLM keeps an 8-bit cache beside quantized weights, the others a 16-bit one."""
    return 1.0 if at.engine == "trtllm" and at.precision not in {"bf16", "fp16"} else 2.0


def _decode(at: Situation) -> StepLoad:
    context = at.prompt_tokens + at.output_tokens / 2
    return StepLoad(decode_seqs=at.sequences, decode_context_tokens=at.sequences * context)


def _prefill(at: Situation) -> StepLoad:
    others = (at.sequences - 1) * at.sequences / (at.sequences + LOCKSTEP)
    prompts, tokens = others / at.output_tokens, at.prompt_tokens
    return StepLoad(
        prefill_tokens=prompts * tokens,
        prefill_pairs=prompts * tokens * (tokens + 1) / 2,
        prefill_seqs=prompts,
    )


def _linear_s(at: Situation) -> float:
    per_row = work.active_params(at.shape) + at.shape.hidden * at.shape.vocab
    flops = flops_of(at.spec, at.precision) * at.layout.devices
    return 2.0 * per_row * at.sequences / flops


def _weights(at: Situation) -> tuple[float, float]:
    """Seconds to read the weights every token needs, and the routed experts that are touched.

    Data-parallel attention is read whole by each device.
    """
    shape, devices = at.shape, at.layout.devices
    total = work.read_params(shape, at.sequences)
    routed = 0.0
    if shape.experts is not None:
        moe = shape.experts
        touched = moe.count * (1 - (1 - moe.per_token / moe.count) ** at.sequences)
        routed = (shape.layers - moe.dense_layers) * touched * work.mlp_params(shape, moe.ffn)
    attention = shape.layers * work.attention_params(shape)
    always = (total - routed - attention) / devices
    always += attention / (1 if at.layout.data_parallel else devices)
    second = PARAM_BYTES[at.precision] / at.spec.bandwidth_bytes_per_s
    return always * second, routed / devices * second
