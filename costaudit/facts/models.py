"""Published configurations of well-known models, for targets that only give a name.

The table is `data/model_configs.json`: per model the keys of its Hugging Face `config.json` that
decide its speed, the published number of parameters and the source; a note says where an
architecture is only approximated. Give `config` to `target.from_config.shape_from_config`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_TABLE = Path(__file__).parent / "data" / "model_configs.json"
# How a checkpoint was tuned, packed or dated says nothing of its shape.
_VARIANT = re.compile(
    r"-(instruct|chat|it|hf|base|thinking|fp8|nvfp4|mxfp4|fp4|int4|int8|awq|gptq|bf16|w4a16|w8a8"
    r"|dynamic|\d{4})$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """One published model; `config` has the keys of its `config.json`."""

    name: str
    config: Mapping[str, Any]
    params: float  # published or counted, in parameters
    source: str
    note: str = ""


@cache
def known_models() -> tuple[KnownModel, ...]:
    """All known models, by name."""
    return tuple(
        KnownModel(
            name=name,
            config=row["config"],
            params=row["params_billions"] * 1e9,
            source=row["source"],
            note=row.get("note", ""),
        )
        for name, row in _rows().items()
    )


def known_model(name: str) -> KnownModel | None:
    """The model that a server or a table calls `name`; None: unknown.

    The organisation and the variant (tuning, packing, date) are ignored; nothing is matched
    in part.
    """
    return _by_folded_name().get(fold_name(name))


@cache
def _rows() -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = json.loads(_TABLE.read_text(encoding="utf-8"))
    return rows


@cache
def _by_folded_name() -> dict[str, KnownModel]:
    found = {}
    for model in known_models():
        for name in (model.name, *_rows()[model.name].get("aliases", ())):
            found[fold_name(name)] = model
    return found


def fold_name(name: str) -> str:
    """A name without its organisation and variant, in lower case."""
    folded = name.strip().rsplit("/", 1)[-1].casefold().removeprefix("meta-")
    while (shorter := _VARIANT.sub("", folded)) != folded:
        folded = shorter
    return folded
