"""The house rules that a syntax tree can see."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path for room in ("costaudit", "bench", "docs") for path in (CHECKOUT / room).rglob("*.py")
)
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40
parsed = cache(ast.parse)  # each file is looked at three times


def name(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def nodes(source: str) -> list[ast.AST]:
    return list(ast.walk(parsed(source)))


def long_functions(source: str) -> list[str]:
    return [
        f"{node.name} (line {node.lineno}): {length} lines"
        for node in nodes(source)
        if isinstance(node, FUNCTION)
        and (length := node.end_lineno - node.lineno + 1) > MAX_FUNCTION_LINES
    ]


@cache
def banned() -> frozenset[str]:
    """Modules that no file may import when it is imported itself."""
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    tidy = settings["tool"]["ruff"]["lint"]["flake8-tidy-imports"]
    return frozenset(tidy["banned-module-level-imports"])


def undocumented(body: list[ast.stmt], where: str) -> list[str]:
    """Public functions and classes of a module or class without a docstring."""
    found = []
    for node in body:
        if isinstance(node, FUNCTION | ast.ClassDef) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                found.append(f"{where}{node.name} (line {node.lineno})")
            if isinstance(node, ast.ClassDef):
                found += undocumented(node.body, f"{node.name}.")
    return found


def early_imports(source: str, heavy: AbstractSet[str]) -> list[str]:
    """Heavy modules imported when the file is, outside functions and `if TYPE_CHECKING:`."""
    found, waiting = [], list(parsed(source).body)
    while waiting:
        match waiting.pop():
            case ast.Import(names=names):
                found += [alias.name for alias in names if alias.name.partition(".")[0] in heavy]
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in heavy:
                found.append(module)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                pass
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=orelse):
                waiting += orelse
            case node:
                waiting += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_files_and_functions_are_short(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= MAX_FILE_LINES
    assert long_functions(source) == []


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_what_is_public_is_documented(path: Path) -> None:
    tree = parsed(path.read_text())
    assert ast.get_docstring(tree), "a module says what it is for"
    assert undocumented(tree.body, "") == []


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.is_relative_to(CHECKOUT / "costaudit")], ids=name
)
def test_nothing_heavy_is_imported_early(path: Path) -> None:
    assert early_imports(path.read_text(), banned()) == []


def test_the_rules_catch_what_breaks_them() -> None:
    bad = "def f():\n" + "    x = 1\n" * MAX_FUNCTION_LINES
    assert long_functions(bad) == [f"f (line 1): {MAX_FUNCTION_LINES + 1} lines"]
    assert undocumented(ast.parse("class A:\n  '''a'''\n  def f(self): ...").body, "") == [
        "A.f (line 3)"
    ]
    lazy = "if TYPE_CHECKING:\n  import torch\ndef f():\n  import torch\n"
    assert early_imports(lazy, {"torch"}) == []
    assert early_imports("try:\n  import torch.cuda\nexcept E: ...", {"torch"}) == ["torch.cuda"]
    assert early_imports("class A:\n  from torch import nn", {"torch"}) == ["torch"]
