"""Writes what README.md and docs/samples.md quote from the tool, so that it cannot grow old.

    python docs/generate.py             rewrite the marked blocks of both
    python docs/generate.py --check     exit with 1 and a diff where a block is stale
    python docs/generate.py --picture   also take docs/page*.png again (needs Chromium)

A block begins with `<!-- generated: NAME -->` and ends with `<!-- end -->`; NAME is one of BLOCKS.
The samples are docs/sample.json, a real audit: `costaudit report demo.costaudit --format json`, and
docs/sample-server.json, likewise of the vLLM that
`python tests/parts/serve.py vllm --max-num-seqs 4 --no-enable-prefix-caching` starts.
"""

from __future__ import annotations

import difflib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOCS = Path(__file__).resolve().parent
PAGES = (DOCS.parent / "README.md", DOCS / "samples.md")
SAMPLE = DOCS / "sample.json"
SERVER_SAMPLE = DOCS / "sample-server.json"
PICTURES = {"page": 1600, "page-vllm": 1600, "page-pricing": 1400}  # heights in CSS px
SAMPLES = {"page": SAMPLE, "page-vllm": SERVER_SAMPLE}
TRACE = "bench/data/traces/servegen_m-large_10min_week1.csv"
CAPACITY = "docs/capacity.toml"  # of one replica, as a benchmark would tell it
BLOCK = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def help_block() -> str:
    """What `costaudit --help` prints at 80 columns."""
    shown = subprocess.run(
        [sys.executable, "-m", "costaudit", "--help"],
        cwd=DOCS.parent,
        env=os.environ | {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=True,
    )
    return fenced(shown.stdout)


def exit_codes_block() -> str:
    """The tree of errors as a table; 0 and 1 are answers, not errors."""
    from costaudit.ground.errors import CostauditError

    rows = {0: "done, or the gate passed", 1: "the gate found a budget broken"}
    for error in branches(CostauditError):
        sentence = (inspect.getdoc(error) or "").splitlines()[0].rstrip(".")
        rows[error.exit_code] = sentence[:1].lower() + sentence[1:]
    table = "\n".join(f"| {code} | {meaning} |" for code, meaning in sorted(rows.items()))
    return f"| code | means |\n|---|---|\n{table}"


def branches(error: type[Any]) -> Iterator[type[Any]]:
    """All errors below one, each before its own branches."""
    for below in error.__subclasses__():
        yield below
        yield from branches(below)


def sample_block(path: Path = SAMPLE) -> str:
    """The terminal report of a sample, without colours."""
    from costaudit.report.console import console_text

    return fenced(console_text(sample(path)))


def opening_block(path: Path = SAMPLE) -> str:
    """What stands first in that report: the bill and what to do first."""
    return fenced(sample_block(path).strip("`").removeprefix("text").partition("\nPlaybook\n")[0])


def sample(path: Path = SAMPLE) -> dict[str, Any]:
    """A real audit that the README shows."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def fenced(text: str) -> str:
    """A block of literal text; trailing spaces are nobody's information."""
    return "```text\n" + "\n".join(map(str.rstrip, text.strip("\n").splitlines())) + "\n```"


BLOCKS: dict[str, Callable[[], str]] = {
    "help": help_block,
    "exit-codes": exit_codes_block,
    "opening": opening_block,
    "server-opening": partial(opening_block, SERVER_SAMPLE),
    "sample": sample_block,
    "server-sample": partial(sample_block, SERVER_SAMPLE),
}


def generated(text: str) -> str:
    """The text with each marked block written afresh.

    Raises:
        KeyError: a block of a name that nobody writes.
    """
    return BLOCK.sub(lambda found: f"{found[1]}{BLOCKS[found[2]]()}\n{found[3]}", text)


def take_pictures() -> None:
    """Pictures of the tops of three pages: a demo, a vLLM and the pricing of a published trace."""
    from costaudit.report.page import html_page

    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no Chromium here: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        pages = {name: Path(folder) / f"{name}.html" for name in PICTURES}
        for name, path in SAMPLES.items():
            pages[name].write_text(html_page(sample(path)), encoding="utf-8")
        write_pricing_page(pages["page-pricing"])
        for name, page in pages.items():
            picture = DOCS / f"{name}.png"
            size = f"--window-size=1280,{PICTURES[name]}"
            flags = ("--headless=new", "--no-sandbox", "--hide-scrollbars", size)
            wait = "--virtual-time-budget=8000"  # until the charts are alive
            command = [browser, *flags, wait, f"--screenshot={picture}", page.as_uri()]
            subprocess.run(command, capture_output=True, check=True)


def write_pricing_page(page: Path) -> None:
    """What `costaudit price` says of a published trace, at a capacity that was made up."""
    command = ["price", TRACE, "--capacity", CAPACITY, "--price", "3.9", "--html", page]
    subprocess.run(
        [sys.executable, "-m", "costaudit", *map(str, command)],
        cwd=DOCS.parent,
        capture_output=True,
        check=True,
    )


def stale(page: Path, old: dict[Path, str], new: dict[Path, str]) -> Iterator[str]:
    """Lines of a diff, where a block of the page is not what it would be now."""
    names = (page.name, "as generated: python docs/generate.py")
    return difflib.unified_diff(old[page].splitlines(), new[page].splitlines(), *names)


def main(flags: set[str]) -> None:
    """Checks or rewrites; see the top of this file."""
    if unknown := flags - {"--check", "--picture"}:
        sys.exit(f"unknown: {' '.join(sorted(unknown))}\n{__doc__}")
    old = {page: page.read_text(encoding="utf-8") for page in PAGES}
    new = {page: generated(text) for page, text in old.items()}
    if "--check" in flags:
        sys.exit("\n".join(line for page in PAGES for line in stale(page, old, new)) or 0)
    for page, text in new.items():
        page.write_text(text, encoding="utf-8")
    if "--picture" in flags:
        take_pictures()


if __name__ == "__main__":
    main(set(sys.argv[1:]))
