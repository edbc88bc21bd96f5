"""A declared workload: a TOML file read, checked and frozen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError, did_you_mean
from costaudit.ground.shipped import shipped
from costaudit.ground.toml import check_keys, number, read_toml, text
from costaudit.probe.lengths import Distribution, Lengths

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_REQUESTS, MAX_TURNS = 100_000, 1000
Z95 = 1.6448536269514722  # standard normal quantile of 0.95
_KEYS = (
    *("name", "stands_for", "why", "requests", "seed"),
    *("slo", "prompt_tokens", "output_tokens", "prefix", "sessions", "load"),
)
_FORMS: Mapping[str, tuple[str, ...]] = {
    "fixed": ("distribution", "tokens"),
    "uniform": ("distribution", "min", "max"),
    "lognormal": ("distribution", "p50", "mean", "p95", "min", "max"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """What users were promised; None where the workload has no such promise, `why` says why."""

    ttft_s: float | None
    itl_s: float | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """The first `share_tokens` of every prompt are one of `groups` texts (over all requests)."""

    share_tokens: int
    groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A probe as its file declares it, before any scaling.

    Exactly one of `concurrency` (closed loop: so many users wait for each other's answers) and
    `requests_per_s` (open loop: Poisson arrivals) is set. With `turns` above 1 requests are those
    of conversations: each carries all that was said before, `prompt_tokens` is what a turn adds.
    """

    name: str
    stands_for: str
    why: str
    slo: Slo
    prompt_tokens: Lengths
    output_tokens: Lengths
    prefix: Prefix | None
    concurrency: int | None
    requests_per_s: float | None
    requests: int
    seed: int
    turns: int = 1


def list_workloads() -> tuple[Workload, ...]:
    """The shipped workloads, by name."""
    return tuple(_read(path) for path in sorted(shipped("probes").glob("*.toml")))


def load_workload(name_or_path: str) -> Workload:
    """A shipped workload by its name, or any by the path of its file.

    Raises:
        UsageError: there is none, or it is not well formed.
    """
    if name_or_path.endswith(".toml") or "/" in name_or_path:
        return _read(Path(name_or_path))
    known = {path.stem: path for path in shipped("probes").glob("*.toml")}
    if name_or_path not in known:
        hint = did_you_mean(name_or_path, known)
        raise UsageError(f"there is no probe called {name_or_path!r}", hint=hint)
    return _read(known[name_or_path])


def _read(path: Path) -> Workload:
    table = read_toml(path)
    where = str(path)
    check_keys(table, _KEYS, where)
    concurrency, rate = _load(_table(table, "load", where), f"{where} [load]")
    workload = Workload(
        name=text(table, "name", where),
        stands_for=text(table, "stands_for", where),
        why=text(table, "why", where),
        slo=_slo(_table(table, "slo", where), f"{where} [slo]"),
        prompt_tokens=_lengths(table, "prompt_tokens", where),
        output_tokens=_lengths(table, "output_tokens", where),
        prefix=_prefix(table["prefix"], f"{where} [prefix]") if "prefix" in table else None,
        concurrency=concurrency,
        requests_per_s=rate,
        requests=_whole(table, "requests", where, high=MAX_REQUESTS),
        seed=_whole(table, "seed", where, low=0) if "seed" in table else 0,
        turns=_turns(table["sessions"], f"{where} [sessions]") if "sessions" in table else 1,
    )
    if workload.prefix and workload.turns > 1:
        raise UsageError(f"{where}: give either [prefix] or [sessions]: turns share their past")
    if workload.prefix and workload.prefix.share_tokens >= workload.prompt_tokens.high:
        raise UsageError(f"{where}: the shared prefix is longer than the longest prompt")
    return workload


def _table(table: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    found = table.get(key)
    if not isinstance(found, dict):
        raise UsageError(f"{where}: the table [{key}] is missing")
    return found


def _whole(
    table: Mapping[str, Any], key: str, where: str, *, low: int = 1, high: float = math.inf
) -> int:
    value = number(table, key, where, low=low, high=high)
    if value != int(value):
        raise UsageError(f"{where}: {key} = {value} must be a whole number")
    return int(value)


def _slo(table: Mapping[str, Any], where: str) -> Slo:
    check_keys(table, ("ttft_s", "itl_s", "why"), where)
    promised = {
        key: float(number(table, key, where, low=1e-6))
        for key in ("ttft_s", "itl_s")
        if key in table
    }
    return Slo(
        ttft_s=promised.get("ttft_s"), itl_s=promised.get("itl_s"), why=text(table, "why", where)
    )


def _prefix(table: Any, where: str) -> Prefix:
    if not isinstance(table, dict):
        raise UsageError(f"{where} must be a table")
    check_keys(table, ("share_tokens", "groups"), where)
    return Prefix(
        share_tokens=_whole(table, "share_tokens", where), groups=_whole(table, "groups", where)
    )


def _turns(table: Any, where: str) -> int:
    if not isinstance(table, dict):
        raise UsageError(f"{where} must be a table")
    check_keys(table, ("turns",), where)
    return _whole(table, "turns", where, low=2, high=MAX_TURNS)


def _load(table: Mapping[str, Any], where: str) -> tuple[int | None, float | None]:
    check_keys(table, ("concurrency", "requests_per_s"), where)
    if len(table) != 1:
        raise UsageError(f"{where}: give either concurrency or requests_per_s")
    if "concurrency" in table:
        return _whole(table, "concurrency", where), None
    return None, float(number(table, "requests_per_s", where, low=1e-6))


def _lengths(table: Mapping[str, Any], key: str, where: str) -> Lengths:
    where = f"{where} [{key}]"
    own = table.get(key)
    if not isinstance(own, dict):
        raise UsageError(f"{where}: the table is missing")
    form = text(own, "distribution", where)
    if form not in _FORMS:
        raise UsageError(f"{where}: unknown distribution {form!r}", hint=did_you_mean(form, _FORMS))
    check_keys(own, _FORMS[form], where)
    match form:
        case "fixed":
            tokens = _whole(own, "tokens", where)
            return Lengths(distribution=Distribution.FIXED, low=tokens, high=tokens)
        case "uniform":
            low, high = _bounds(own, where)
            return Lengths(distribution=Distribution.UNIFORM, low=low, high=high)
        case _:
            return _lognormal(own, where)


def _bounds(own: Mapping[str, Any], where: str) -> tuple[int, int]:
    low, high = _whole(own, "min", where), _whole(own, "max", where)
    if low > high:
        raise UsageError(f"{where}: min = {low} is above max = {high}")
    return low, high


def _lognormal(own: Mapping[str, Any], where: str) -> Lengths:
    low, high = _bounds(own, where)
    p50 = float(number(own, "p50", where, low=low, high=high))
    if ("mean" in own) == ("p95" in own):
        raise UsageError(f"{where}: a lognormal needs p50 and one of mean and p95")
    if "mean" in own:  # mean = p50 · exp(sigma²/2)
        mean = number(own, "mean", where, low=p50, high=high)
        sigma = math.sqrt(2.0 * math.log(mean / p50))
    else:  # p95 = p50 · exp(1.645 sigma)
        sigma = math.log(number(own, "p95", where, low=p50) / p50) / Z95
    return Lengths(distribution=Distribution.LOGNORMAL, low=low, high=high, median=p50, sigma=sigma)
