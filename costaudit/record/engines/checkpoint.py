"""A model directory is looked at before torch touches it: its config, its shards, their size."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from costaudit.ground.errors import TargetError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
_MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors format itself
_AGAIN = "download the model again"


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of a model directory.

    Raises:
        TargetError: there is none, or it is not a JSON object.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise TargetError(
            f"{folder} is no model: it has no {CONFIG}",
            hint="give the directory that holds config.json and *.safetensors",
        )
    return _read_object(path)


def check_checkpoint(folder: Path) -> int:
    """Bytes of the weights of a directory, after a look at the header of every shard.

    Raises:
        TargetError: no safetensors, a shard is missing, or a file is damaged or cut short.
    """
    return sum(_check_shard(folder / name) for name in _shards(folder))


def _shards(folder: Path) -> list[str]:
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    if (folder / INDEX).is_file():
        weight_map = _read_object(folder / INDEX).get("weight_map")
        if not isinstance(weight_map, Mapping) or not weight_map:
            raise TargetError(f"{folder / INDEX} names no weights", hint=_AGAIN)
        return sorted({Path(str(name)).name for name in weight_map.values()})
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt")) or any(folder.glob("*.pth")):
        raise TargetError(
            f"{folder} has weights in pickle files only, which can run code when they are read",
            hint="convert them to safetensors, or use --dummy-weights",
        )
    raise TargetError(
        f"{folder} has a {CONFIG} but no {WEIGHTS}",
        hint="use --dummy-weights to profile the architecture alone",
    )


def _check_shard(path: Path) -> int:
    """Bytes of tensors in one file: header length (8 bytes), JSON header, then the data."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header_bytes = int.from_bytes(file.read(8), "little")
            raw = file.read(min(header_bytes, _MAX_HEADER_BYTES))
    except FileNotFoundError as err:
        raise TargetError(f"the shard {path} is missing", hint=_AGAIN) from err
    except OSError as err:
        raise TargetError(f"cannot read {path}: {err.strerror}") from err
    try:
        header = json.loads(raw)
        data_bytes = max(_ends(header), default=0)
    except (ValueError, TypeError, KeyError, AttributeError) as err:
        raise TargetError(f"{path} is damaged or no safetensors file", hint=_AGAIN) from err
    missing = 8 + header_bytes + data_bytes - size
    if missing > 0:
        raise TargetError(f"{path} is cut short: {missing} bytes are missing", hint=_AGAIN)
    return data_bytes


def _ends(header: Mapping[str, Any]) -> Iterable[int]:
    """Where the data of each tensor end, from the end of the header."""
    return [
        int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"
    ]


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except OSError as err:
        raise TargetError(f"cannot read {path}: {err.strerror}") from err
    except (ValueError, RecursionError) as err:
        raise TargetError(f"{path} is not valid JSON: {err}", hint=_AGAIN) from err
    if not isinstance(value, dict):
        raise TargetError(f"{path} holds no JSON object", hint=_AGAIN)
    return value
