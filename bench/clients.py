"""Load tools side by side: how far is each off, and what does it cost?

Every tool runs against the same server, which keeps to a schedule and logs when it really sent
(`fidelity/truth_server.c`); the truth of a run is that server's log of the same run. costaudit
takes part as the program that a user starts.

    python bench/clients.py --install [NAME ...]   once: about 6 GB
    python bench/clients.py [--quick] [--only NAMES] [--levels 1,64] [--repeats N] [--json]
    python bench/clients.py [--kinds level,stream] [--into RUNS.jsonl]

Tools take turns within each scene. With `--repeats` the table holds medians. Nothing else should
run on the machine meanwhile; the load average beside each figure tells whether something did. All
of it takes half an hour; with `--into` runs are kept, so that it can be done in parts, and the
table is of all that were kept (`--kinds none` plays nothing more).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from contest import install
from contest.bars import bars
from contest.install import NotInstalledError
from contest.kept import keep, kept
from contest.play import Row, middle, play
from contest.scenes import KINDS, Scene, scenes
from contest.summary import summary
from contest.table import notes, tables, verdicts
from peers import every_peer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contest.peer import Peer

LEVELS, QUICK_LEVELS = "1,64,256,512", "64"


def main() -> int:
    """Exit status: 1 where a bar is missed or a tool cannot be installed."""
    asked = _arguments()
    chosen = _chosen(asked)
    if asked.install is not None:
        return _install(chosen)
    folders, absent = _at_hand(chosen)
    present = [peer for peer in chosen if peer.name in folders]
    known = scenes(asked.levels, quick=asked.quick)
    played = [scene for scene in known if asked.kinds is None or scene.kind in asked.kinds]
    began = time.monotonic()
    rows = kept(asked.into)
    for row in _play_all(present, folders, played, asked.repeats):
        rows.append(row)
        keep(row, asked.into)
    medians = list(_medians(rows, known, chosen))
    python = {peer.name for peer in chosen if peer.is_python and peer.name != "costaudit"}
    found = bars(medians, python)
    machine = _machine(time.monotonic() - began, asked.repeats)
    if asked.json:
        told = {"machine": machine, "absent": absent, "runs": [asdict(row) for row in rows]}
        told |= {"medians": [asdict(row) for row in medians]}
        print(json.dumps({**told, "bars": [asdict(bar) for bar in found]}))
    elif asked.markdown:
        print("\n".join(summary(medians)))
    else:
        print(" · ".join(f"{name} {value}" for name, value in machine.items()))
        lines = (*tables(medians), *notes(medians, present, absent), *verdicts(found))
        print("\n".join(lines))
    return 1 if any(bar.met is False for bar in found) else 0


def _medians(rows: list[Row], known: list[Scene], peers: list[Peer]) -> Iterator[Row]:
    """In the order of the scenes and tools."""
    for scene in known:
        for peer in peers:
            runs = [row for row in rows if (row.scene, row.peer) == (scene.name, peer.name)]
            if runs:
                yield middle(runs)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--install", nargs="*", metavar="NAME", help="install tools, all of them without names"
    )
    parser.add_argument("--only", help="names of the tools that take part, with commas between")
    parser.add_argument("--levels", help=f"numbers of streams [{LEVELS}; quick: {QUICK_LEVELS}]")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each tool in each scene")
    parser.add_argument("--quick", action="store_true", help="short runs, for a first look")
    parser.add_argument("--kinds", help=f"kinds of scenes that are played, of {','.join(KINDS)}")
    parser.add_argument("--into", type=Path, help="a file that keeps runs; its own count too")
    parser.add_argument("--markdown", action="store_true", help="one table in Markdown, no more")
    parser.add_argument("--json", action="store_true", help="every run and every median")
    asked = parser.parse_args()
    try:
        levels = asked.levels or (QUICK_LEVELS if asked.quick else LEVELS)
        asked.levels = sorted({int(word) for word in levels.split(",")})
    except ValueError:
        parser.error("--levels takes numbers with commas between")
    if asked.levels[0] < 1 or asked.repeats < 1:
        parser.error("--levels and --repeats are at least 1")
    asked.kinds = asked.kinds.split(",") if asked.kinds else None
    asked.only = asked.only.split(",") if asked.only else None
    return asked


def _chosen(asked: argparse.Namespace) -> list[Peer]:
    known = every_peer()
    names = asked.install or asked.only or [peer.name for peer in known]
    if unknown := set(names) - {peer.name for peer in known}:
        given = ", ".join(peer.name for peer in known)
        sys.exit(f"no such tool: {', '.join(sorted(unknown))}; there are {given}")
    return [peer for peer in known if peer.name in names]


def _install(chosen: list[Peer]) -> int:
    status = 0
    for peer in chosen:
        try:
            print(f"{peer.name} {peer.version}: {install.ready(peer)}", flush=True)
        except NotInstalledError as error:
            print(error, file=sys.stderr)
            status = 1
    return status


def _at_hand(chosen: list[Peer]) -> tuple[dict[str, Path], dict[str, str]]:
    """Where those are that are installed, and why others are not here."""
    here = {peer.name: install.folder_of(peer) for peer in chosen if install.is_ready(peer)}
    absent = {
        peer.name: f"it is not installed; `python bench/clients.py --install {peer.name}`"
        for peer in chosen
        if peer.name not in here
    }
    return here, absent


def _play_all(
    peers: list[Peer], folders: dict[str, Path], played: list[Scene], repeats: int
) -> Iterator[Row]:
    """Each scene with all tools in turn, then again."""
    for scene in played:
        for turn in range(repeats):
            for peer in peers:
                row = play(peer, folders[peer.name], scene)
                taken = f"{row.wall_s:.0f} s" if row.wall_s is not None else "–"
                again = f", run {turn + 1}" if repeats > 1 else ""
                print(f"{scene.name}{again}: {peer.name}, {taken}", file=sys.stderr, flush=True)
                yield row


def _machine(took_s: float, repeats: int) -> dict[str, str]:
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "took": f"{took_s:.0f} s",
        "medians of": str(repeats),
    }


if __name__ == "__main__":
    sys.exit(main())
