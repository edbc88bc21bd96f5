"""A user's own price book, a TOML file laid over the shipped lists.

    [[gpu]]            # one device; `unit` is "usd_per_gpu_h", or "usd_per_instance_h" with `gpus`
    device = "NVIDIA H100 80GB HBM3"
    unit = "usd_per_gpu_h"
    on_demand = 2.10
    spot = 0.95                      # may be left out, as may the reserved prices
    reserved_1y = 1.60
    reserved_3y = 1.10
    as_of = 2026-08-01
    source = "contract 4711"

    [[token]]          # `unit` is "usd_per_1m_tokens" or "usd_per_1k_tokens"
    [[provisioned]]    # `unit` is "usd_per_unit_h" or "usd_per_unit_month"; tokens per unit given
    [on_prem]          # `unit` is "usd": what a device costs to buy, to feed and to look after
    [spot]             # how far spot can be relied on, instead of the defaults
    [[scenario]]       # prices that could be: factors on hourly, spot and token prices, a weight

A price without its unit, its date or its source is refused: it would be a number, not a price.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from costaudit.facts.own_prices import (
    HOURS_PER_MONTH,
    Origin,
    OwnGpu,
    OwnPrem,
    OwnPrices,
    OwnScenario,
    OwnSpot,
    OwnToken,
    OwnUnit,
)
from costaudit.ground.errors import UsageError, did_you_mean
from costaudit.ground.toml import check_keys, number, read_toml, text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TABLES = ("gpu", "token", "provisioned", "on_prem", "spot", "scenario")
_ORIGIN = ("unit", "as_of", "source")
_GPU_UNITS = ("usd_per_gpu_h", "usd_per_instance_h")
_TOKEN_UNITS = {"usd_per_1m_tokens": 1.0, "usd_per_1k_tokens": 1000.0}
_UNIT_UNITS = {"usd_per_unit_h": 1.0, "usd_per_unit_month": 1 / HOURS_PER_MONTH}


def read_own_prices(path: Path) -> OwnPrices:
    """The price book at `path`.

    Raises:
        UsageError: it cannot be read, or a price is without unit, date or source, or no number.
    """
    book = read_toml(path)
    check_keys(book, _TABLES, str(path))
    return OwnPrices(
        gpus=tuple(_gpu(t, where) for t, where in _each(book, "gpu", path)),
        tokens=tuple(_token(t, where) for t, where in _each(book, "token", path)),
        units=tuple(_unit(t, where) for t, where in _each(book, "provisioned", path)),
        on_prem=_on_prem(_one(book, "on_prem", path), f"{path} [on_prem]"),
        spot=_spot(_one(book, "spot", path), f"{path} [spot]"),
        scenarios=tuple(_scenario(t, where) for t, where in _each(book, "scenario", path)),
    )


def _each(book: Mapping[str, Any], name: str, path: Path) -> list[tuple[Mapping[str, Any], str]]:
    tables = book.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        raise UsageError(f"{path}: {name} must be written [[{name}]], once per price")
    return [(table, f"{path} [[{name}]] {n}") for n, table in enumerate(tables, 1)]


def _one(book: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any] | None:
    table = book.get(name)
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{path}: {name} must be written [{name}]")
    return table


def _gpu(table: Mapping[str, Any], where: str) -> OwnGpu:
    check_keys(
        table,
        ("device", "gpus", "on_demand", "spot", "reserved_1y", "reserved_3y", *_ORIGIN),
        where,
    )
    per_instance = _named(table, where, _GPU_UNITS) == "usd_per_instance_h"
    per = 1 / number(table, "gpus", where, low=1) if per_instance else 1.0
    return OwnGpu(
        device=text(table, "device", where),
        on_demand_usd=per * _usd(table, "on_demand", where),
        spot_usd=_maybe(table, "spot", where, per),
        reserved_1y_usd=_maybe(table, "reserved_1y", where, per),
        reserved_3y_usd=_maybe(table, "reserved_3y", where, per),
        origin=_origin(table, where),
    )


def _token(table: Mapping[str, Any], where: str) -> OwnToken:
    names = ("input", "output", "cached_input", "batch_input", "batch_output")
    check_keys(table, ("provider", "model", *names, *_ORIGIN), where)
    per = _TOKEN_UNITS[_named(table, where, tuple(_TOKEN_UNITS))]
    return OwnToken(
        provider=text(table, "provider", where),
        model=text(table, "model", where),
        input_usd=per * number(table, "input", where),
        output_usd=per * number(table, "output", where),
        cached_usd=_maybe(table, "cached_input", where, per),
        batch_input_usd=_maybe(table, "batch_input", where, per),
        batch_output_usd=_maybe(table, "batch_output", where, per),
        origin=_origin(table, where),
    )


def _unit(table: Mapping[str, Any], where: str) -> OwnUnit:
    speeds = ("input_tokens_per_min", "output_tokens_per_min")
    check_keys(table, ("provider", "model", "price", "term_months", *speeds, *_ORIGIN), where)
    per = _UNIT_UNITS[_named(table, where, tuple(_UNIT_UNITS))]
    return OwnUnit(
        provider=text(table, "provider", where),
        model=text(table, "model", where),
        usd_per_unit_h=per * _usd(table, "price", where),
        input_tokens_per_min=_usd(table, "input_tokens_per_min", where),
        output_tokens_per_min=_usd(table, "output_tokens_per_min", where),
        term_months=number(table, "term_months", where),
        origin=_origin(table, where),
    )


def _on_prem(table: Mapping[str, Any] | None, where: str) -> OwnPrem | None:
    if table is None:
        return None
    shares = ("interest_share", "upkeep_share", "availability_share")
    figures = ("capex_usd_per_device", "years", "device_w", "pue", "usd_per_kwh")
    check_keys(table, (*figures, *shares, *_ORIGIN), where)
    _named(table, where, ("usd",))
    return OwnPrem(
        capex_usd_per_device=_usd(table, "capex_usd_per_device", where),
        years=number(table, "years", where, low=0.5, high=30),
        interest_share=number(table, "interest_share", where, high=1),
        upkeep_share=number(table, "upkeep_share", where, high=1),
        device_w=number(table, "device_w", where),
        pue=number(table, "pue", where, low=1, high=5),
        usd_per_kwh=number(table, "usd_per_kwh", where),
        availability_share=number(table, "availability_share", where, low=0.01, high=1),
        origin=_origin(table, where),
    )


def _spot(table: Mapping[str, Any] | None, where: str) -> OwnSpot | None:
    if table is None:
        return None
    shares = ("availability_share", "fleet_share")
    check_keys(
        table,
        (*shares, "interruptions_per_h", "lost_h_per_interruption", "as_of", "source"),
        where,
    )
    return OwnSpot(
        availability_share=number(table, "availability_share", where, high=1),
        interruptions_per_h=number(table, "interruptions_per_h", where),
        lost_h_per_interruption=number(table, "lost_h_per_interruption", where),
        fleet_share=number(table, "fleet_share", where, high=1),
        origin=_origin(table, where),
    )


def _scenario(table: Mapping[str, Any], where: str) -> OwnScenario:
    factors = ("hourly_factor", "spot_factor", "token_factor", "weight")
    check_keys(table, ("name", *factors), where)
    hourly, spot, tokens, weight = (_usd(table, key, where) for key in factors)
    return OwnScenario(
        name=text(table, "name", where),
        hourly_factor=hourly,
        spot_factor=spot,
        token_factor=tokens,
        weight=weight,
    )


def _named(table: Mapping[str, Any], where: str, units: tuple[str, ...]) -> str:
    """The unit of a price, which has to be said.

    Raises:
        UsageError: it is not, or is none that is known here.
    """
    unit = table.get("unit")
    if unit not in units:
        said = "has no unit" if unit is None else f"has the unit {unit!r}"
        hint = did_you_mean(str(unit), units) if unit else 'say unit = "' + '" or "'.join(units)
        raise UsageError(f"{where} {said}", hint=hint if unit else hint + '"')
    return str(unit)


def _origin(table: Mapping[str, Any], where: str) -> Origin:
    as_of = table.get("as_of")
    try:
        date = as_of if isinstance(as_of, dt.date) else dt.date.fromisoformat(str(as_of))
    except ValueError:
        date = None
    if date is None:
        raise UsageError(f"{where}: as_of must be a date, got {as_of!r}", hint="2026-08-01")
    return Origin(source=text(table, "source", where), as_of=date.isoformat()[:10])


def _usd(table: Mapping[str, Any], key: str, where: str) -> float:
    value = number(table, key, where)
    if not value:
        raise UsageError(f"{where}: {key} = 0 is no price", hint="leave out what is not known")
    return value


def _maybe(table: Mapping[str, Any], key: str, where: str, per: float) -> float | None:
    return per * _usd(table, key, where) if key in table else None
