"""How a TARGET becomes a directory with a model in it: the demo, a directory, or a hub id."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from costaudit.ground.errors import TargetError, UsageError
from costaudit.record.options import DEMO

# Hub ids are `name` or `owner/name` (huggingface_hub's own rule for repository ids).
_HUB_ID = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?", re.ASCII)
_WEIGHTS = ("*.safetensors", "*.safetensors.index.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model on disk. `weights` is what the Target will say of them."""

    name: str
    folder: Path
    weights: str


def find_source(
    target: str, *, dummy_weights: bool, trust_remote_code: bool, revision: str | None
) -> Source:
    """The directory of a target; a hub id is downloaded, or taken from the hub's own cache.

    Raises:
        UsageError: neither a directory nor a possible hub id.
        TargetError: the hub does not have it, refuses it or cannot be reached.
    """
    weights = "dummy" if dummy_weights else "trained"
    if target == DEMO:
        from costaudit.record.engines.demo_model import ensure_demo

        return Source(name=DEMO, folder=ensure_demo(), weights="random")
    folder = Path(target).expanduser()
    if folder.is_dir():
        return Source(name=folder.resolve().name, folder=folder, weights=weights)
    if folder.exists():
        raise UsageError(f"{target} is a file", hint="give the directory that holds config.json")
    if target.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(target):
        raise UsageError(
            f"there is no directory {target}",
            hint="TARGET is demo, a URL, a model directory or a hub id such as owner/name",
        )
    wanted = ["*.json", *(() if dummy_weights else _WEIGHTS)]
    code = ["*.py"] if trust_remote_code else []
    found = _from_hub(target, [*wanted, *code], revision)
    return Source(name=target, folder=found, weights=weights)


def _from_hub(repo: str, patterns: list[str], revision: str | None) -> Path:
    from huggingface_hub import errors, snapshot_download

    def fetch(**options: Any) -> Path:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=patterns, **options))

    try:
        return fetch()
    except errors.GatedRepoError as err:
        raise TargetError(
            f"the hub does not give out {repo} to everybody",
            hint="accept its licence on the hub, then log in with `hf auth login`",
        ) from err
    except errors.RevisionNotFoundError as err:
        raise TargetError(
            f"{repo} has no revision {revision}", hint="look at its branches"
        ) from err
    except errors.RepositoryNotFoundError as err:
        raise TargetError(
            f"{repo} is neither a directory here nor a model on the hub",
            hint="check the spelling; a private model needs `hf auth login`",
        ) from err
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError) as err:
        try:
            return fetch(local_files_only=True)
        except (errors.LocalEntryNotFoundError, OSError):
            pass
        raise TargetError(
            f"the hub cannot be reached and {repo} is not in its cache on this machine",
            hint="download it first, or give a directory",
        ) from err
