"""Finds the steps by their being there, and refuses a malformed one with file and line."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from costaudit.ground.errors import UsageError
from costaudit.playbook import steps as shipped_steps
from costaudit.playbook.page import SECTIONS, Page, PageError, parse
from costaudit.playbook.step import Confidence, Effort, Risk, Step

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

HINT = "a step file has a docstring with its page and a constant STEP; see costaudit/playbook/steps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A step with its page and the file it came from."""

    step: Step
    page: Page
    path: Path


def load(folder: Path | None = None) -> tuple[Entry, ...]:
    """All steps by id: the shipped ones and those in `folder`, which runs their code.

    Raises:
        UsageError: `folder` is none, a step is malformed, or two have one id; with file and line.
    """
    names = sorted(found.name for found in pkgutil.iter_modules(shipped_steps.__path__))
    modules = [importlib.import_module(f"{shipped_steps.__name__}.{name}") for name in names]
    if folder is not None:
        modules += _from_folder(folder)
    entries = sorted((_entry(module) for module in modules), key=lambda entry: entry.step.id)
    _check_ids(entries)
    return tuple(entries)


def _from_folder(folder: Path) -> list[ModuleType]:
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder of steps", hint=HINT)
    paths = sorted(p for p in folder.glob("*.py") if not p.name.startswith("_"))
    return [_import(path) for path in paths]


def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"costaudit_playbook_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} cannot be imported", hint=HINT)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as err:  # a user's file may fail in any way
        raise UsageError(f"{path}:{_failing_line(err, path)}: {err}", hint=HINT) from err
    return module


def _failing_line(err: Exception, path: Path) -> int:
    if isinstance(err, SyntaxError) and err.lineno:
        return err.lineno
    frames = traceback.extract_tb(err.__traceback__)
    return next((f.lineno or 1 for f in reversed(frames) if f.filename == str(path)), 1)


def _entry(module: ModuleType) -> Entry:
    path = Path(str(module.__file__))
    try:
        page = parse(module.__doc__ or "")
    except PageError as err:
        raise UsageError(
            f"{path}:1: {err}", hint=f"the page's sections are: {', '.join(SECTIONS)}"
        ) from err
    step = getattr(module, "STEP", None)
    if not isinstance(step, Step):
        raise UsageError(f"{path}:{_line_of_step(path)}: STEP is no Step", hint=HINT)
    if wrong := _fault(step, path):
        raise UsageError(f"{path}:{_line_of_step(path)}: {wrong}", hint=HINT)
    return Entry(step=step, page=page, path=path)


def _fault(step: Step, path: Path) -> str:
    """What is wrong with a step, beyond what a type checker sees; "" when nothing is."""
    if step.id != path.stem.replace("_", "-"):
        return f"the id {step.id!r} is not the file's name with dashes"
    for field, kind in (("effort", Effort), ("risk", Risk), ("confidence", Confidence)):
        if not isinstance(getattr(step, field), kind):
            return f"{field} is no {kind.__name__}"
    for field, wanted in (("assess", 1), ("change", 2)):
        function = getattr(step, field)
        if not callable(function) or len(inspect.signature(function).parameters) != wanted:
            return f"{field} is no function of {wanted} argument{'s' * (wanted > 1)}"
    return ""


def _line_of_step(path: Path) -> int:
    """The line on which STEP is assigned; 1 where it is not."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if any(isinstance(t, ast.Name) and t.id == "STEP" for t in targets):
            return node.lineno
    return 1


def _check_ids(entries: Iterable[Entry]) -> None:
    """Ids are unique, and a step names only steps that are there."""
    by_id: dict[str, Entry] = {}
    for entry in entries:
        if (first := by_id.get(entry.step.id)) is not None:
            raise UsageError(f"{entry.path}:1: the id {entry.step.id!r} is taken by {first.path}")
        by_id[entry.step.id] = entry
    for entry in by_id.values():
        for other in (*entry.step.requires, *entry.step.excludes):
            if other not in by_id:
                line = _line_of_step(entry.path)
                raise UsageError(f"{entry.path}:{line}: there is no step {other!r}", hint=HINT)
