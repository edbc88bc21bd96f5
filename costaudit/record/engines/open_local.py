"""Opens a model in this process, or says in one sentence why it cannot."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError
from costaudit.record.engines.checkpoint import check_checkpoint, read_config
from costaudit.record.engines.continuous import ContinuousEngine
from costaudit.record.engines.describe import describe_model
from costaudit.record.engines.device import choose_device, choose_dtype
from costaudit.record.engines.int8 import quantize_linears
from costaudit.record.engines.loading import (
    dummy_model,
    load_config,
    refuse_other_models,
    trained_model,
)
from costaudit.record.engines.low_bit import FORMATS, quantize_model, why_not
from costaudit.record.engines.memory import SMALLER_MODEL, check_fits
from costaudit.record.engines.model_source import find_source
from costaudit.record.engines.step_graph import compile_blocks
from costaudit.record.engines.transformers_local import TransformersEngine
from costaudit.record.options import AS_IT_COMES, check_settings
from costaudit.target.from_config import shape_from_config
from costaudit.target.target import Origin, Value
from costaudit.target.work import total_params

if TYPE_CHECKING:
    from costaudit.record.engines.transformers_local import Ranges
    from costaudit.record.options import EngineSettings

# Room beside the weights for activations, the allocator and a small cache.
_HEADROOM = 1.1
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def open_local(
    target: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    dummy_weights: bool = False,
    trust_remote_code: bool = False,
    revision: str | None = None,
    ranges: Ranges | None = None,
    settings: EngineSettings = AS_IT_COMES,
) -> TransformersEngine:
    """Load "demo", a model directory or a hub id and make it ready to be driven.

    `ranges` is told of every step (NVTX). Memory is checked before anything is loaded.

    Raises:
        UsageError: torch is not installed, or a flag or the target's name is wrong.
        TargetError: the target is no causal language model, is damaged, or does not fit.
    """
    require_torch()
    place = choose_device(device)
    _check_settings(settings, place)
    source = find_source(
        target, dummy_weights=dummy_weights, trust_remote_code=trust_remote_code, revision=revision
    )
    raw = read_config(source.folder)
    chosen, why = choose_dtype(dtype, place, _stored_dtype(raw))
    refuse_other_models(raw, source.name, trust_remote_code=trust_remote_code)
    shape = shape_from_config(raw, name=source.name)
    if source.weights != "dummy":
        check_checkpoint(source.folder)
    need = total_params(shape) * _BYTES[chosen] * _HEADROOM
    what = f"the weights of {source.name} in {chosen}"
    check_fits(need, place, what, hint=SMALLER_MODEL)
    config = load_config(source, trust_remote_code=trust_remote_code)
    build = dummy_model if source.weights == "dummy" else trained_model
    model = build(source, config, chosen, place, trust_remote_code=trust_remote_code)
    told = {"name": source.name, "weights": source.weights, "dtype_why": why}
    return wrap_model(model, **told, ranges=ranges, settings=settings)


def _check_settings(settings: EngineSettings, place: Any) -> None:
    check_settings(settings)
    if settings.quantize == "int8" and place.type != "cpu":
        raise UsageError(
            f"{settings.quantize} is torch's dynamic quantization, which runs on a CPU only",
            hint=f"on a GPU take {', '.join(FORMATS)}, or a quantized checkpoint as the target",
        )
    if settings.quantize in FORMATS and (why := why_not(settings.quantize, place)):
        raise UsageError(f"this device multiplies no {settings.quantize}: {why}")
    if settings.graphs != "off" and place.type != "cuda":
        raise UsageError("only a CUDA device captures a step; a CPU launches no kernels")


def wrap_model(
    model: Any,
    *,
    name: str = "",
    weights: str = "trained",
    dtype_why: str = "",
    ranges: Ranges | None = None,
    settings: EngineSettings = AS_IT_COMES,
) -> TransformersEngine:
    """Drive a model object that is already in memory.

    Raises:
        TargetError: its configuration is not that of an attention model.
    """
    target = describe_model(model, name=name, weights=weights, dtype_why=dtype_why)
    if model.device.type == "cpu":
        why = "one thread, so that its CPU time is the time of all the work"
        threads = Value(value=1, origin=Origin.DEFAULT, why=why)
        target = replace(target, knobs={**target.knobs, "compute_threads": threads})
    target = replace(target, knobs={**target.knobs, **_given(settings)})
    if settings.quantize == "int8":
        quantize_linears(model)
    elif settings.quantize != "none":
        quantize_model(model, settings.quantize)
    if settings.graphs == "compiled":
        compile_blocks(model)
    if settings.batching == "continuous":
        return ContinuousEngine(model, target, ranges=ranges)
    return TransformersEngine(
        model,
        target,
        ranges=ranges,
        static_cache=settings.cache == "static",
        graphs=settings.graphs != "off",
        fp8_cache=settings.kv_cache == "fp8",
    )


def _given(settings: EngineSettings) -> dict[str, Value]:
    """The settings that are not as they come, as knobs."""
    knobs: dict[str, str] = {}
    if settings.cache == "static":
        knobs["kv_layout"] = "static"
    if settings.batching == "continuous":
        knobs |= {"batching": "continuous", "kv_layout": "paged"}
    if settings.quantize != "none":
        knobs["quantization"] = settings.quantize
    if settings.graphs != "off":
        knobs["cuda_graphs"] = settings.graphs
    if settings.kv_cache != "own":
        knobs["kv_cache_dtype"] = settings.kv_cache
    return {name: Value(value=value, origin=Origin.GIVEN) for name, value in knobs.items()}


def require_torch() -> None:
    """Say how to install what an in-process target needs.

    Raises:
        UsageError: torch or transformers is not installed.
    """
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as err:
        raise UsageError(
            f"an in-process target needs {err.name or 'torch'}, which is not installed",
            hint="pip install 'costaudit[local]'",
        ) from err


def _stored_dtype(raw: dict[str, Any]) -> str | None:
    stored = raw.get("dtype") or raw.get("torch_dtype")
    return stored if isinstance(stored, str) else None
