"""The list of models, traffics and changes, as a TOML file gives it.

[[model]]                      random weights, made where they are missing
name = "a"
kind = "llama"                 an architecture that transformers can build by its sizes
size = "256x4"                 hidden size x layers, or a name of tests/parts/tiny_models.py

[[traffic]]
name = "chat"
requests = 120
prompt_tokens = { distribution = "uniform", min = 40, max = 200 }     as in probes/*.toml,
output_tokens = 48                                                    or a number
prefix = { share_tokens = 128, groups = 4 }                           optional
load = { concurrency = 16 }                                           or requests_per_s

[[baseline]]
name = "a, chat"
model = "a"
traffic = "chat"
flags = ["--max-num-seqs", "16"]   of `vllm serve`; seconds = 60 of its recording, optional

[[baseline.change]]
name = "max_num_seqs 16 -> 4"
flags = ["--max-num-seqs", "4"]    behind the baseline's flags, and/or
traffic = "code"                   another traffic than was recorded
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError
from costaudit.ground.toml import check_keys, number, read_toml, text
from costaudit.probe.workload import load_workload

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from costaudit.probe.workload import Workload

RECORD_S = 60.0
_SLO = {"why": "none was promised"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """An architecture and its sizes."""

    name: str
    kind: str
    size: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What differs from the baseline: flags behind its own, another traffic, or both."""

    name: str
    flags: tuple[str, ...]
    traffic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A server with a traffic, recorded for `seconds`, and the changes to be predicted from it."""

    name: str
    model: Model
    traffic: str
    flags: tuple[str, ...]
    seconds: float
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The whole list; traffics as workloads of the product, each in a file of its own."""

    baselines: tuple[Baseline, ...]
    workloads: Mapping[str, Workload]
    files: Mapping[str, Path]


def read_changes(path: Path, folder: Path) -> Changes:
    """The list in `path`; its traffics are written into `folder` as workload files.

    Raises:
        UsageError: it is not well formed, or names what it does not describe.
    """
    table = read_toml(path)
    where = str(path)
    check_keys(table, ("model", "traffic", "baseline"), where)
    models = {m.name: m for m in (_model(one, where) for one in _tables(table, "model", where))}
    files = dict(_traffic(one, folder, where) for one in _tables(table, "traffic", where))
    baselines = [_baseline(b, models, files, where) for b in _tables(table, "baseline", where)]
    return Changes(
        baselines=tuple(baselines),
        workloads={name: load_workload(str(file)) for name, file in files.items()},
        files=files,
    )


def _model(table: Mapping[str, Any], where: str) -> Model:
    check_keys(table, ("name", "kind", "size"), f"{where} [[model]]")
    name, kind, size = (text(table, key, f"{where} [[model]]") for key in ("name", "kind", "size"))
    return Model(name=name, kind=kind, size=size)


def _traffic(table: Mapping[str, Any], folder: Path, where: str) -> tuple[str, Path]:
    """A workload file of the product with what the list leaves out."""
    known = ("name", "requests", "seed", "prompt_tokens", "output_tokens", "prefix", "load")
    check_keys(table, known, f"{where} [[traffic]]")
    name = text(table, "name", f"{where} [[traffic]]")
    whole = {"stands_for": name, "why": f"traffic of {where}", **table, "slo": _SLO}
    for key in ("prompt_tokens", "output_tokens"):
        if isinstance(whole.get(key), int):
            whole[key] = {"distribution": "fixed", "tokens": whole[key]}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{slug(name)}.toml"
    file.write_text("".join(f"{key} = {_value(value)}\n" for key, value in whole.items()))
    return name, file


def _baseline(
    table: Mapping[str, Any], models: Mapping[str, Model], files: Mapping[str, Path], where: str
) -> Baseline:
    where = f"{where} [[baseline]]"
    check_keys(table, ("name", "model", "traffic", "flags", "seconds", "change"), where)
    traffic = _known(text(table, "traffic", where), files, where)
    return Baseline(
        name=text(table, "name", where),
        model=models[_known(text(table, "model", where), models, where)],
        traffic=traffic,
        flags=_flags(table, where),
        seconds=number(table, "seconds", where, low=5) if "seconds" in table else RECORD_S,
        changes=tuple(_change(c, traffic, files, where) for c in _tables(table, "change", where)),
    )


def _change(
    table: Mapping[str, Any], traffic: str, files: Mapping[str, Path], where: str
) -> Change:
    where = f"{where} [[change]]"
    check_keys(table, ("name", "flags", "traffic"), where)
    other = _known(text(table, "traffic", where), files, where) if "traffic" in table else traffic
    return Change(name=text(table, "name", where), flags=_flags(table, where), traffic=other)


def _tables(table: Mapping[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    found = table.get(key)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UsageError(f"{where}: there is no [[{key}]]")
    return found


def _flags(table: Mapping[str, Any], where: str) -> tuple[str, ...]:
    found = table.get("flags", [])
    if not isinstance(found, list):
        raise UsageError(f"{where}: flags must be a list, one entry a word")
    return tuple(map(str, found))


def _known(name: str, names: Mapping[str, object], where: str) -> str:
    if name not in names:
        raise UsageError(f"{where}: nothing is called {name!r}")
    return name


def slug(name: str) -> str:
    """A name as a file's."""
    return "".join(c if c.isalnum() else "-" for c in name)


def _value(value: Any) -> str:
    """A value as TOML; the list's own were TOML before."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_value(v)}" for k, v in value.items()) + " }"
    return json.dumps(value)
