"""What a recording is asked to be, and what it says while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How transformers is driven in this process; the first of each is what `generate` does.

    Attributes:
        batching: "static", or "continuous": its own scheduler over its paged cache.
        cache: "dynamic", or "static": allocated once for a batch's longest sequence.
        quantize: "none", "int8" (every linear layer by torch's dynamic int8, CPU only), or a
            format of `low_bit`: "fp8", "int8-weights", "int4-weights".
        graphs: "off", "captured" (a step is one CUDA graph; needs the static cache), or "compiled"
            (its blocks by torch.compile, then captured).
        kv_cache: "own" dtype of the model, or "fp8": a static cache in 8 bits.
    """

    batching: str = "static"
    cache: str = "dynamic"
    quantize: str = "none"
    graphs: str = "off"
    kv_cache: str = "own"


AS_IT_COMES = EngineSettings()
_OF_AN_ENGINE = fields(EngineSettings)
_SETTINGS = {
    "batching": ("static", "continuous"),
    "cache": ("dynamic", "static"),
    "quantize": ("none", "int8", "fp8", "int8-weights", "int4-weights"),
    "graphs": ("off", "captured", "compiled"),
    "kv_cache": ("own", "fp8"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileOptions:
    """How to record one target. None means: decided from the workload or the machine.

    Attributes:
        target: "demo", a model directory or a hub id.
        path: where the recording is written.
        probe: a shipped workload's name, or the path of a workload's TOML file.
        batch_size: sequences per static batch; by default the workload's concurrency.
        kv_budget_bytes: memory that the KV cache may take.
        time_budget_s: device seconds that the whole recording should take.
        rounds: interleaved rounds of the step probes.
        replay_rounds: times that each batch of the workload is replayed.
        scale: factor on the workload's lengths; by default what context and time allow.
        requests: requests to replay; by default as many as the time allows.
        batching, cache, quantize, graphs, kv_cache: see `EngineSettings`.
    """

    target: str
    path: Path
    device: str = "auto"
    dtype: str = "auto"
    dummy_weights: bool = False
    trust_remote_code: bool = False
    revision: str | None = None
    probe: str = "chat"
    batch_size: int | None = None
    kv_budget_bytes: int | None = None
    time_budget_s: float = 60.0
    seed: int = 0
    rounds: int = 5
    replay_rounds: int = 3
    scale: float | None = None
    requests: int | None = None
    batching: str = "static"
    cache: str = "dynamic"
    quantize: str = "none"
    graphs: str = "off"
    kv_cache: str = "own"

    @property
    def settings(self) -> EngineSettings:
        """How the engine is to be driven."""
        return EngineSettings(**{one.name: getattr(self, one.name) for one in _OF_AN_ENGINE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is: `fraction` 0 to 1, what it is doing, seconds left (None: not known yet)."""

    fraction: float
    label: str
    seconds_left: float | None


Listener = Callable[[Progress], None]

DEMO = "demo"
# Two audits of the demo are there to be compared: what it replays is fixed, not fitted to the speed
# of the hour. At four rows per step a decode step multiplies 2 FLOPs per byte of float32 weights,
# fewer than a CPU core computes in the time of reading one, so the phases differ as on a GPU.
DEMO_RUN: Mapping[str, Any] = {"batch_size": 4, "requests": 24, "scale": 0.08}

_AT_LEAST = {
    "batch_size": 1,
    "requests": 1,
    "kv_budget_bytes": 1,
    "time_budget_s": 1,
    "rounds": 1,
    "replay_rounds": 1,
}


def settled(options: ProfileOptions) -> ProfileOptions:
    """The options with what the demo fixes, where nothing else was asked for."""
    if options.target != DEMO:
        return options
    open_ones = {name: value for name, value in DEMO_RUN.items() if getattr(options, name) is None}
    return replace(options, **open_ones)


def check_options(options: ProfileOptions) -> None:
    """Refuse numbers that no run can have.

    Raises:
        UsageError: a number is too small, or the scale is not within 0 … 1.
    """
    for name, low in _AT_LEAST.items():
        value = getattr(options, name)
        if value is not None and not value >= low:
            raise UsageError(f"{name} = {value} is below {low}")
    if options.scale is not None and not 0 < options.scale <= 1:
        raise UsageError(f"scale = {options.scale} is outside 0 … 1")
    check_settings(options.settings)
    if options.batching != "static":
        raise UsageError(
            "a recording times prefill and decode apart, which only static batches allow",
            hint="`costaudit verify RUN --step continuous-batching` runs it; to audit it, start"
            " `transformers serve MODEL --continuous-batching` and profile its URL",
        )


def check_settings(settings: EngineSettings) -> None:
    """Refuse a setting that there is not, and two that exclude each other.

    Raises:
        UsageError: one is wrong.
    """
    for name, known in _SETTINGS.items():
        if (value := getattr(settings, name)) not in known:
            raise UsageError(f"there is no {name} {value!r}", hint=did_you_mean(str(value), known))
    if settings.batching == "continuous" and settings.cache == "static":
        raise UsageError("continuous batching has a paged cache, not a static one")
    if settings.cache != "static" and (settings.graphs, settings.kv_cache) != ("off", "own"):
        raise UsageError(
            "steps are captured, and a cache is kept in 8 bits, where it is allocated once",
            hint="add --cache static",
        )


def to_meta(options: ProfileOptions) -> dict[str, object]:
    """The options as JSON values, without the path: a recording may be moved."""
    return {name: value for name, value in asdict(options).items() if name != "path"}


def from_meta(stored: object, path: Path) -> ProfileOptions:
    """The options that `to_meta` wrote; unknown keys of a newer costaudit are left out.

    Raises:
        UsageError: the recording is not one of a profile.
    """
    if not isinstance(stored, dict) or "target" not in stored:
        raise UsageError(
            f"{path} holds no plan to go on with", hint="start again with `costaudit profile`"
        )
    known = {field.name for field in fields(ProfileOptions)}
    return ProfileOptions(path=path, **{k: v for k, v in stored.items() if k in known})
