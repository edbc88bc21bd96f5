"""A live model of transformers → Target."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from costaudit.target.from_config import shape_from_config
from costaudit.target.target import Origin, Target, Value


def describe_model(
    model: Any, *, name: str = "", weights: str = "trained", dtype_why: str = ""
) -> Target:
    """What can be said of a model object that is in memory.

    Parameters are counted, tied ones once; everything else comes from `model.config`.

    Raises:
        TargetError: the configuration is not that of an attention model.
    """
    import transformers

    config = model.config.to_dict()
    shape = shape_from_config(config, name=name or str(model.config.name_or_path or ""))
    return Target(
        kind="in-process",
        engine="transformers",
        engine_version=str(transformers.__version__),
        model=shape.name,
        weights=weights,
        dtype=str(model.dtype).removeprefix("torch."),
        shape=replace(shape, params=sum(p.numel() for p in model.parameters())),
        knobs=_knobs(model, dtype_why),
    )


def _knobs(model: Any, dtype_why: str) -> dict[str, Value]:
    """What `generate` of this version does when nobody asks for anything else."""
    default = {
        "batching": "static",
        "kv_layout": "dynamic",
        "prefix_caching": False,
        "padding_side": "left",
    }
    knobs = {name: Value(value=value, origin=Origin.DEFAULT) for name, value in default.items()}
    attention = str(getattr(model.config, "_attn_implementation", "") or "eager")
    knobs["attention"] = Value(value=attention, origin=Origin.EXPORTED)
    knobs["device"] = Value(value=str(model.device), origin=Origin.OBSERVED)
    knobs["dtype"] = Value(
        value=str(model.dtype).removeprefix("torch."), origin=Origin.OBSERVED, why=dtype_why
    )
    if model.device.type == "cpu":
        knobs["compute_threads"] = Value(
            value=1,
            origin=Origin.OBSERVED,
            why="one thread, so that its CPU time is the time of all the work",
        )
    return knobs
