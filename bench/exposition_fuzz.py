"""Metric pages damaged at random: the path from bytes to a diagnosis raises our own error or none.

    python bench/exposition_fuzz.py [--mutations 1000000] [--seed 1]

Each mutation damages one of a few real lines and pages by bytes, by lines and by numbers, and goes
through recognition's parser, the sums and a page of quantities; every hundredth also through a
window and a diagnosis. Prints mutations per second and the first exception that is not ours.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

from costaudit.diagnosis.diagnose import diagnose
from costaudit.facts.quantities import Page
from costaudit.ground.errors import CostauditError
from costaudit.measure.window import window_of
from costaudit.record.meters.prometheus_text import families
from costaudit.record.passive.page import page_of
from costaudit.record.servers.fetch import Reply
from costaudit.record.servers.found import MetricsSource

PAGES = Path(__file__).parents[1] / "tests/diagnosis/captures"
SOURCE = MetricsSource(url="http://fuzz.invalid", servers=("vllm-v1", "vllm-v0"))
LINES_A_PAGE = 3  # small pages: the parser sees one damaged line at a time
DIAGNOSED = 100  # every so many
ODD = (
    b'"',
    b"\\",
    b"{",
    b"}",
    b",",
    b"=",
    b"\n",
    b"\0",
    b"\xff",
    b"NaN",
    b"+Inf",
    b"-1e999",
    b"1e400",
    b" ",
    b"#",
    b'le="',
    b"_bucket",
    b"_total",
    b"9" * 400,
    "\N{GREEK SMALL LETTER MU}".encode(),
)


def mutated(rng: random.Random, page: bytes) -> bytes:
    """A page with one to four wounds."""
    body = bytearray(page)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(body) + 1)
        match rng.randrange(5):
            case 0:
                body[place : place + rng.randint(1, 20)] = b""
            case 1:
                body[place:place] = rng.choice(ODD)
            case 2:
                body[place : place + 1] = bytes([rng.randrange(256)])
            case 3:
                other = rng.randrange(len(body) + 1)
                body[place:place] = body[other : other + rng.randint(1, 60)]
            case _:
                body[place : place + 8] = repr(rng.uniform(-1e30, 1e30)).encode()
    return bytes(body)


def pages(rng: random.Random) -> list[bytes]:
    """Small pages of real lines."""
    lines = [
        line
        for path in sorted(PAGES.glob("*/000.prom"))
        for line in path.read_bytes().splitlines(keepends=True)
    ]
    return [b"".join(rng.sample(lines, LINES_A_PAGE)) for _ in range(2000)]


def fuzz(mutations: int, seed: int) -> float:
    """Mutations per second.

    Raises:
        Exception: something that is no CostauditError came out; the page is in its notes.
    """
    rng = random.Random(seed)
    whole, began = pages(rng), time.monotonic()
    last = Page(t_s=0.0, quantities={})
    for number in range(mutations):
        body = mutated(rng, rng.choice(whole))
        try:
            page = page_of(Reply(url=SOURCE.url, status=200, body=body), SOURCE, float(number))
            families(body.decode("utf-8", "replace"))
            if number % DIAGNOSED == 0:
                diagnose(window_of([last, page], engine="vllm"))
                last = page
        except CostauditError:
            continue
        except BaseException as err:
            err.add_note(repr(body))
            raise
    return mutations / (time.monotonic() - began)


def main() -> None:
    """Fuzz and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    per_s = fuzz(asked.mutations, asked.seed)
    print(f"{asked.mutations:,} mutated pages, {per_s:,.0f} a second: nothing but our own errors")


if __name__ == "__main__":
    main()
