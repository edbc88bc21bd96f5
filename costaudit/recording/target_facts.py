"""The target as facts of a recording, and back: subjects "target", "model" and "knob"."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError
from costaudit.recording.rows import Fact
from costaudit.target.shape import Experts, LatentAttention, ModelShape
from costaudit.target.target import Origin, Target, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN = ("kind", "engine", "engine_version", "model", "weights", "dtype")


def target_facts(target: Target) -> tuple[Fact, ...]:
    """Every field of the target: its own under "target", the shape's under "model", its knobs.

    A target of unknown shape has nothing under "model".
    """
    shape = asdict(target.shape) if target.shape else {}
    own = [Fact(subject="target", name=name, value=getattr(target, name)) for name in _PLAIN]
    model = [Fact(subject="model", name=name, value=value) for name, value in shape.items()]
    knobs = [
        Fact(subject="knob", name=name, value=v.value, origin=str(v.origin), why=v.why)
        for name, v in target.knobs.items()
    ]
    return (*own, *model, *knobs)


def target_of(facts: Mapping[str, Mapping[str, Fact]]) -> Target:
    """The target that `target_facts` wrote down.

    Raises:
        UsageError: the recording ended before its target was described.
    """
    own, model = facts.get("target", {}), facts.get("model", {})
    if missing := [name for name in _PLAIN if name not in own]:
        raise UsageError(
            f"the recording does not describe its target: no {missing[0]}",
            hint="if it is of a watch: costaudit diagnose --from FILE",
        )
    return Target(
        **{name: str(own[name].value) for name in _PLAIN},
        shape=_shape({name: fact.value for name, fact in model.items()}) if model else None,
        knobs={name: _knob(fact) for name, fact in facts.get("knob", {}).items()},
    )


def _knob(fact: Fact) -> Value:
    if fact.value is not None and not isinstance(fact.value, (bool, int, float, str)):
        raise UsageError(f"the recording's knob {fact.name} holds no plain value")
    return Value(value=fact.value, origin=Origin(fact.origin), why=fact.why)


def _shape(values: dict[str, Any]) -> ModelShape:
    known = {field.name for field in fields(ModelShape)}
    shape = {name: value for name, value in values.items() if name in known}
    shape["experts"] = Experts(**shape["experts"]) if shape.get("experts") else None
    shape["latent"] = LatentAttention(**shape["latent"]) if shape.get("latent") else None
    shape["windows"] = tuple(shape.get("windows") or ())
    return ModelShape(**shape)
