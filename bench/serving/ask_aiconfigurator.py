"""Asks aiconfigurator for a time per output token; runs in its own virtual environment.

Reads a JSON list of rows (columns of the table) from standard input, writes one of answers: a
number in milliseconds, or why there is none. Rows are asked as they stand, with the engine's newest
data that it carries. Its file of measured runs, `silicon_sample.csv`, is never opened.
"""

from __future__ import annotations

import functools
import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import aiconfigurator_core  # type: ignore[import-not-found]
from aiconfigurator.cli.api import cli_estimate  # type: ignore[import-not-found]
from aiconfigurator.sdk import perf_database  # type: ignore[import-not-found]

MOST_WORDS = 160  # letters of a reason


def main() -> None:
    """Answer all rows."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    print(json.dumps([_answer(row) for row in json.load(sys.stdin)]))


def _answer(row: dict[str, Any]) -> float | str:
    try:
        found = cli_estimate(
            _its_name(row["model_path"]),
            row["system"],
            mode="agg",
            backend_name=row["backend"],
            backend_version=_newest(row["system"], row["backend"]),
            isl=_whole(row, "isl"),
            osl=_whole(row, "osl"),
            batch_size=_whole(row, "batch_size"),
            tp_size=_whole(row, "tp_size") or 1,
            pp_size=_whole(row, "pp_size") or 1,
            attention_dp_size=_whole(row, "attention_dp_size") or 1,
            moe_tp_size=_whole(row, "moe_tp_size"),
            moe_ep_size=_whole(row, "moe_ep_size"),
            gemm_quant_mode=row["gemm_quant_mode"] or None,
            moe_quant_mode=row["moe_quant_mode"] or None,
        )
    except Exception as err:  # noqa: BLE001 - whatever it cannot do is its answer
        return f"{type(err).__name__}: {err}"[:MOST_WORDS]
    return float(found.tpot)


def _whole(row: dict[str, Any], name: str) -> int | None:
    return int(float(row[name])) if row.get(name) else None


@functools.cache
def _newest(system: str, backend: str) -> str | None:
    """Its newest data for an engine; it reads hundreds of files each time it is asked."""
    found: str | None = perf_database.get_latest_database_version(system=system, backend=backend)
    return found


def _its_name(model: str) -> str:
    """The name under which its wheel carries the model's config; it would download others."""
    names = _names()
    folded = model.rsplit("/", 1)[-1].casefold()
    for alike in (
        folded,
        folded.removesuffix("-instruct"),
        f"meta-{folded}".removesuffix("-instruct"),
    ):
        if alike in names:
            return names[alike]
    return model


@functools.cache
def _names() -> dict[str, str]:
    folder = Path(aiconfigurator_core.__file__).parent / "model_configs"
    files = (path.name.removesuffix("_config.json") for path in folder.glob("*_config.json"))
    names = [name.replace("--", "/") for name in files if not name.endswith("_hf_quant")]
    return {name.rsplit("/", 1)[-1].casefold(): name for name in names}


if __name__ == "__main__":
    main()
