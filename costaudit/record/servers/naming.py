"""Which of the served models is meant, and what is known of its shape."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from costaudit.facts.models import known_model
from costaudit.ground.errors import TargetError, UsageError, did_you_mean
from costaudit.target.from_config import shape_from_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.record.servers.look import Look
    from costaudit.target.shape import ModelShape

_SHOWN = 20  # a hosted API lists hundreds
MAX_CONFIG_BYTES = 4 << 20


def chosen(model: str | None, served: Sequence[str], look: Look) -> str:
    """The model to audit, as requests call it.

    Raises:
        UsageError: none is given where several or none are listed, or none is of that name.
    """
    if model is not None:
        if not served or model in served:
            return model
        folded = [name for name in served if name.casefold() == model.casefold()]
        if len(folded) == 1:
            return folded[0]
        more = f", and {len(served) - _SHOWN} more" if len(served) > _SHOWN else ""
        raise UsageError(
            f"the server has no model {model!r}; it serves {', '.join(served[:_SHOWN])}{more}",
            hint=did_you_mean(model, served) if len(served) <= _SHOWN else "",
        )
    adapters = {entry.get("id") for entry in look.models if entry.get("parent")}  # LoRA
    whole = [name for name in served if name not in adapters]
    if len(whole) == 1:
        return whole[0]
    if not whole:
        raise UsageError("the server lists no model", hint="name the one to audit by --model")
    raise UsageError(
        f"the server has {len(whole)} models: {', '.join(whole[:_SHOWN])}",
        hint="choose one by --model",
    )


def shape_of(
    names: Sequence[str], config: Path | None, *, local: bool
) -> tuple[ModelShape | None, str]:
    """The model's shape and where it is from; None, and why, where it is not known.

    `names` are what the server calls the model; where the server is on this machine (`local`) one
    of them may be the directory of its weights.

    Raises:
        UsageError: the given configuration cannot be read.
        TargetError: it describes no model that costaudit's formulas cover.
    """
    if config is not None:
        return shape_from_config(_configuration(config), name=names[0]), f"from {config}"
    for name in names:
        folder = Path(name)
        if local and folder.is_absolute() and (folder / "config.json").is_file():
            try:
                found = shape_from_config(_configuration(folder), name=names[0])
            except (UsageError, TargetError) as err:
                return None, err.message
            return found, f"from the config.json in {_shown(folder)}"
    for name in names:
        if (known := known_model(name)) is not None:
            shape = shape_from_config(known.config, name=known.name)
            return shape, f"published configuration of {known.name} ({known.source})"
    return None, f"no shape is known of {names[0]}: give its config.json by --model-config"


def _shown(folder: Path) -> str:
    """A path as it may stand in a report: whose home it is in is nobody's business."""
    home = Path.home()
    return f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else str(folder)


def is_here(base_url: str) -> bool:
    """The server is on this very machine, by a loopback address."""
    host = urlsplit(base_url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _configuration(path: Path) -> dict[str, object]:
    file = path / "config.json" if path.is_dir() else path
    try:
        if file.stat().st_size > MAX_CONFIG_BYTES:
            raise UsageError(f"{file} is too large for a model's configuration")
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as err:
        raise UsageError(
            f"cannot read the model's configuration {file}: {err}",
            hint="--model-config takes a config.json or the directory that holds one",
        ) from err
    if not isinstance(found, dict):
        raise UsageError(f"{file} is no model configuration")
    return found
