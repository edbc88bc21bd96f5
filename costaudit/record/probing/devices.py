"""The devices behind a server: as the user names them, with their datasheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.facts.gpus import gpu_spec, gpu_specs
from costaudit.ground.errors import UsageError, did_you_mean
from costaudit.recording.rows import Fact
from costaudit.target.target import Origin

if TYPE_CHECKING:
    from costaudit.facts.gpus import GpuSpec
    from costaudit.record.probing.options import ServerOptions

UNNAMED = "a server does not say what it runs on; name it with --gpu"
_DTYPES = {
    **dict.fromkeys(("bfloat16", "float16", "bf16", "fp16", "half", "auto", ""), "bf16"),
    **dict.fromkeys(("fp8", "float8_e4m3fn", "fp8_e4m3", "fp8_e5m2"), "fp8"),
    "float32": "fp32",
    "int8": "int8",
}


def device_facts(options: ServerOptions, dtype: str) -> tuple[Fact, ...]:
    """Name, count, memory and datasheet rates of one device; subject "device".

    Raises:
        UsageError: no datasheet is listed under the given name.
    """
    count = Fact(subject="device", name="count", value=options.gpus, origin=str(Origin.GIVEN))
    if options.gpu is None:
        unknown = ("memory_bytes", *_RATES)
        return (
            _told("name", "devices of the server", Origin.UNKNOWN, why=UNNAMED),
            _told("kind", "", Origin.UNKNOWN, why=UNNAMED),
            count,
            *(_told(name, None, Origin.UNKNOWN, why=UNNAMED) for name in unknown),
        )
    spec = gpu_spec(options.gpu)
    if spec is None:
        names = {alias for known in gpu_specs() for alias in (known.name, *known.aliases)}
        raise UsageError(
            f"no datasheet is listed for a device called {options.gpu!r}",
            hint=did_you_mean(options.gpu, names),
        )
    return (
        _told("name", spec.name, Origin.GIVEN),
        _told("kind", "cuda", Origin.GIVEN),
        count,
        _told("memory_bytes", int(spec.memory_gb * 1e9), Origin.DATASHEET, unit="B"),
        *_rates(spec, dtype),
    )


_RATES = (
    "peak_flops",
    "peak_bandwidth_bytes_per_s",
    "datasheet_flops",
    "datasheet_bandwidth_bytes_per_s",
)


def _rates(spec: GpuSpec, dtype: str) -> tuple[Fact, ...]:
    """What cannot be measured through a server stands as its datasheet has it."""
    flops = spec.peak_flops.get(_DTYPES.get(dtype, "bf16"))
    rates = dict(zip(_RATES, (flops, spec.bandwidth_bytes_per_s) * 2, strict=True))
    return tuple(
        _told(
            name,
            rate,
            Origin.UNKNOWN if rate is None else Origin.DATASHEET,
            unit="FLOP/s" if name.endswith("flops") else "B/s",
            why=f"datasheet: {spec.source}",
        )
        for name, rate in rates.items()
    )


def _told(name: str, value: object, origin: Origin, *, unit: str = "", why: str = "") -> Fact:
    return Fact(subject="device", name=name, value=value, unit=unit, origin=str(origin), why=why)
