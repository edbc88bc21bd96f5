"""What a server audit is asked to be, and how far it may go."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError
from costaudit.record.probing.arrivals import POISSON, check_arrivals

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where probing stops by itself. None: no limit of that kind.

    Attributes:
        concurrency: most requests in flight.
        tokens: prompt and output tokens asked for, over the whole run.
        requests: requests sent, over the whole run.
        spend_usd: dollars at the given token prices, over the whole run.
        usd_per_1m_input, usd_per_1m_output: what a hosted API bills per million tokens.
        token_price_source: whose list they are from; "" where they were given.
        waiting: requests in the server's queue beyond our own that end the run.
        p95_factor: growth of the p95 of our own TTFTs, like with like, that ends the run.
    """

    concurrency: int = 64
    tokens: int | None = 5_000_000
    requests: int | None = 20_000
    spend_usd: float | None = None
    usd_per_1m_input: float | None = None
    usd_per_1m_output: float | None = None
    token_price_source: str = ""
    waiting: int | None = 32
    p95_factor: float | None = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How to audit one server. None means: found out, or decided from the workload.

    Attributes:
        url: of the server; scheme and host are enough.
        path: where the recording is written.
        probe: a shipped workload's name, or the path of a workload's TOML file.
        model: which of the served models.
        gpu: name of the devices behind the server ("H100"), as datasheets and prices know it.
        gpus: how many of them.
        concurrency: streams of the replayed workload; by default the workload's own.
        time_budget_s: wall seconds that the whole recording should take.
        rounds: interleaved rounds of the step probes.
        seed: of the drawn lengths and token ids.
        requests_per_s, arrivals: of an open loop behind the replay: its rate, Poisson or constant.
        trace, time_scale: a log of requests to send instead, and our seconds per second of it.
        pressure: press on the KV cache until its blocks run out, after everything else.
        precision_share: the replay ends when its 95 % interval is this narrow, both ways.
    """

    url: str
    path: Path
    probe: str = "chat"
    model: str | None = None
    engine: str | None = None
    dialect: str | None = None
    model_config: str | None = None
    tokenizer: str | None = None
    metrics_url: str | None = None
    dtype: str | None = None
    knobs: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    gpu: str | None = None
    gpus: int = 1
    concurrency: int | None = None
    scale: float | None = None
    time_budget_s: float = 120.0
    rounds: int = 4
    seed: int = 0
    precision_share: float = 0.05
    requests_per_s: float | None = None
    arrivals: str = POISSON
    trace: str | None = None
    time_scale: float = 1.0
    pressure: bool = False
    verify_tls: bool = True
    limits: Limits = field(default_factory=Limits)


_AT_LEAST = {"gpus": 1, "concurrency": 1, "time_budget_s": 5, "rounds": 1}


def check_server_options(options: ServerOptions) -> None:
    """Refuse numbers that no run can have.

    Raises:
        UsageError: a number is too small.
    """
    for name, low in _AT_LEAST.items():
        value = getattr(options, name)
        if value is not None and not value >= low:
            raise UsageError(f"{name} = {value} is below {low}")
    check_arrivals(
        options.arrivals,
        requests_per_s=options.requests_per_s,
        trace=options.trace,
        time_scale=options.time_scale,
    )
    limits = options.limits
    if limits.concurrency < 1:
        raise UsageError(f"a concurrency limit of {limits.concurrency} allows no request")
    if limits.p95_factor is not None and not limits.p95_factor > 1:
        raise UsageError(f"a p95 of {limits.p95_factor:g} times the first is no worse than it")


def server_meta(options: ServerOptions) -> dict[str, object]:
    """The options as JSON values for the recording: no path, and no secrets are in them."""
    return {name: value for name, value in asdict(options).items() if name != "path"}


def server_options(stored: object, path: Path) -> ServerOptions:
    """The options that `server_meta` wrote; unknown keys of a newer costaudit are left out.

    Raises:
        UsageError: the recording is not one of a server.
    """
    if not isinstance(stored, dict) or not isinstance(stored.get("limits"), dict):
        raise UsageError(
            f"{path} holds no plan to go on with", hint="start again with `costaudit profile`"
        )
    limits = _known(Limits, stored["limits"])
    rest = {
        name: value for name, value in _known(ServerOptions, stored).items() if name != "limits"
    }
    return ServerOptions(path=path, limits=Limits(**limits), **rest)


def _known(kind: type[Limits | ServerOptions], stored: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in stored.items() if name in names}
