"""A live model of transformers → Target."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from costaudit.target.from_config import shape_from_config
from costaudit.target.target import Origin, Target, Value
from costaudit.target.work import total_params

if TYPE_CHECKING:
    from costaudit.target.shape import ModelShape

# Norms and biases, which the formulas leave out, are far below this in models of real width.
_PARAMS_TOLERANCE_SHARE = 0.02


def describe_model(
    model: Any, *, name: str = "", weights: str = "trained", dtype_why: str = ""
) -> Target:
    """What can be said of a model object that is in memory.

    Parameters are counted, tied ones once; everything else comes from `model.config`. Where the
    formulas for this shape are off by more than 2 % of the parameters, the knob
    `params_by_formula_share` says so.

    Raises:
        TargetError: the configuration is not that of an attention model.
    """
    import transformers

    config = model.config.to_dict()
    shape = shape_from_config(config, name=name or str(model.config.name_or_path or ""))
    shape = replace(shape, params=sum(p.numel() for p in model.parameters()))
    return Target(
        kind="in-process",
        engine="transformers",
        engine_version=str(transformers.__version__),
        model=shape.name,
        weights=weights,
        dtype=str(model.dtype).removeprefix("torch."),
        shape=shape,
        knobs={**_knobs(model, dtype_why), **_formula_check(shape)},
    )


def _knobs(model: Any, dtype_why: str) -> dict[str, Value]:
    """What `generate` of this version does when nobody asks for anything else."""
    default: dict[str, str | bool] = {
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
    return knobs


def _formula_check(shape: ModelShape) -> dict[str, Value]:
    """A warning where the formulas explain other parameters than the model really has."""
    counted = shape.params or 0
    share = total_params(replace(shape, params=None)) / counted if counted else 0.0
    if abs(share - 1) <= _PARAMS_TOLERANCE_SHARE:
        return {}
    why = (
        "its FLOPs and bytes come from formulas for plain attention and MLP layers, "
        "and this model has others (a vision tower, adapters, unusual layers)"
    )
    return {"params_by_formula_share": Value(value=share, origin=Origin.OBSERVED, why=why)}
