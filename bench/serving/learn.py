"""Learns the constants of `serving.kriging` from a table, and tells what they are worth elsewhere.

    cd bench && python -m serving.learn data/silicon_serving.csv data/steptime_constants.json

What is minimised is what `bench/steptime.py` measures: the error of runs predicted from K random
others of their group, on a scale that forgives outliers. For the gradient's sake the bounded fit
is replaced by its linearisation, a Gaussian process on the shares of the columns. Then the same
is learned again and again without some groups (all of a model's, or a random eighth), and the
errors on those alone are stored beside the constants. Takes about ten minutes; needs torch.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from serving.kriging import Arrays, Constants, arrays_of, covariance, fingerprint, shares_of
from serving.measure import measure_groups, pooled
from serving.table import Table, read_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serving.table import Run

WEIGHT = {2: 0.5, 3: 0.5, 4: 1.0, 6: 2.0, 8: 1.0, 12: 2.0}  # by number of probes
OUTLIER = 0.05  # errors (natural logarithm) well above this hardly count more when they grow
ROWS = 64  # of a group in one pass
PASSES = 250
GROUPS_PER_PASS = 12
RATE = 0.04
FOLDS = 8
SEEDS = 8

# Where learning starts: usual coefficients, then spreads and lengths of a plausible size.
CENTRE = {
    "overhead": 1e-3,
    "layers": 12e-6,
    "moe_layers": 20e-6,
    "sequences": 15e-6,
    "weights": 1.1,
    "experts": 1.2,
    "kv": 1.2,
    "decode_linear": 0.6,
    "decode_attention": 1.0,
    "prefill_linear": 1.8,
    "prefill_attention": 1.8,
    "prefill_prompts": 2e-3,
    "prefill_layers": 40e-6,
    "link_decode": 1.5,
    "link_prefill": 1.0,
    "link_latency": 6e-6,
}
START = {"offset": 0.2, "rough_size": 0.14, "smooth_size": 0.14, "alike_size": 0.14, "noise": 0.03}
LENGTHS = {"rough_length": (2.7, 4.5, 4.5, 2.7), "smooth_length": (7.0, 7.0, 7.0, 7.0)}
LABELS = {"rough_label": 1.0, "smooth_label": 1.0, "label_size": 0.14}
WIDTH, CELL = 0.5, 0.14


def main() -> int:
    """Learn, measure on groups that had no part in it, write both."""
    parser = argparse.ArgumentParser(description="learn the constants of the calibrated model")
    parser.add_argument("table", type=Path)
    parser.add_argument("output", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    table = read_table(asked.table)
    known = learn(list(table.groups.values()))
    body = {
        "made_by": f"cd bench && python -m serving.learn {asked.table} {asked.output}",
        "table_sha256": fingerprint(asked.table),
        "constants_are": "natural logarithms; serving/kriging.py says what each one is",
        "constants": plain(known),
        "held_out": {
            "each model": held_out_errors(table, by_family(table)),
            "an eighth of the groups": held_out_errors(table, by_group(table)),
        },
    }
    asked.output.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    return 0


def learn(groups: Sequence[Sequence[Run]], *, seed: int = 0) -> Constants:
    """Constants that make the groups predict themselves best."""
    random = np.random.default_rng(seed)
    names = tuple(CENTRE)
    known = _start(names)
    learned = [value for value in vars_of(known).values() if isinstance(value, torch.Tensor)]
    large = [arrays_of(runs, names) for runs in groups if len(runs) >= min(WEIGHT) + 3]
    odds = np.array([min(len(arrays.seconds), 80) for arrays in large], dtype=float)
    optimiser = torch.optim.Adam(learned, lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, PASSES)
    for _ in range(PASSES):
        optimiser.zero_grad()
        for chosen in random.choice(len(large), GROUPS_PER_PASS, p=odds / odds.sum()):
            torch.autograd.backward(_loss(known, _part(large[chosen], random), random))
        optimiser.step()
        schedule.step()
    return known


def by_family(table: Table) -> dict[str, int]:
    """Fold of each group: one for each model."""
    families = {name: runs[0].family for name, runs in table.groups.items()}
    numbers = {family: number for number, family in enumerate(sorted(set(families.values())))}
    return {name: numbers[family] for name, family in families.items()}


def by_group(table: Table) -> dict[str, int]:
    """Fold of each group: a random one; groups that may share runs stay together."""
    keys = {name: runs[0].family + name.split(" |", 1)[1] for name, runs in table.groups.items()}
    distinct = sorted(set(keys.values()))
    places = np.random.default_rng(0).permutation(len(distinct))
    folds = {key: int(place) % FOLDS for key, place in zip(distinct, places, strict=True)}
    return {name: folds[key] for name, key in keys.items()}


def held_out_errors(table: Table, folds: Mapping[str, int]) -> dict[str, Any]:
    """Errors on groups that had no part in the learning, pooled over the folds."""
    found = {}
    for number in sorted(set(folds.values())):
        out = {name: runs for name, runs in table.groups.items() if folds[name] == number}
        rest = [runs for name, runs in table.groups.items() if name not in out]
        found.update(measure_groups(out, as_numpy(learn(rest)), seeds=SEEDS))
        print(number, pooled(found)["calibrated"], file=sys.stderr, flush=True)
    return dict(pooled(found)["calibrated"])


def _loss(known: Constants, runs: Arrays, random: np.random.Generator) -> torch.Tensor:
    seconds, shares = shares_of(known, runs, torch)
    spread = covariance(known, runs, torch)
    spread = spread + (shares * torch.exp(2 * known.width)) @ shares.T
    left = torch.log(runs.seconds) - torch.log(seconds)
    total = torch.zeros((), dtype=torch.float64)
    for count, weight in WEIGHT.items():
        if len(left) < count + 3:
            break
        order = torch.as_tensor(random.permutation(len(left)))
        probes, rest = order[:count], order[count:]
        between = spread[probes][:, probes]
        between = between + torch.exp(2 * known.noise) * torch.eye(count, dtype=torch.float64)
        guess = spread[rest][:, probes] @ torch.linalg.solve(between, left[probes])
        total = total + weight * torch.log1p(((guess - left[rest]) / OUTLIER) ** 2).mean()
    return total


def _part(runs: Arrays, random: np.random.Generator) -> Arrays:
    """Some runs of a group, as tensors."""
    rows = random.permutation(len(runs.seconds))[:ROWS]
    return Arrays(
        columns=torch.as_tensor(runs.columns[rows]),
        place=torch.as_tensor(runs.place[rows]),
        labels=torch.as_tensor(runs.labels[rows]),
        seconds=torch.as_tensor(runs.seconds[rows]),
        borrowed=runs.borrowed,
    )


def _start(names: tuple[str, ...]) -> Constants:
    labels = 5
    values: dict[str, Any] = {
        "centre": [CENTRE[name] for name in names],
        "width": [WIDTH] * len(names),
        "cell": [CELL] * len(names),
        **START,
        **LENGTHS,
        **{name: [value] * labels for name, value in LABELS.items()},
    }
    tensors = {
        name: torch.tensor(np.log(value), dtype=torch.float64, requires_grad=True)
        for name, value in values.items()
    }
    return Constants(columns=names, **tensors)


def vars_of(known: Constants) -> Mapping[str, Any]:
    """The constants by name."""
    return {field.name: getattr(known, field.name) for field in dataclasses.fields(known)}


def as_numpy(known: Constants) -> Constants:
    """The same constants as arrays."""
    values = {n: v.detach().numpy() for n, v in vars_of(known).items() if n != "columns"}
    return Constants(columns=known.columns, **values)


def plain(known: Constants) -> dict[str, Any]:
    """What `kriging.read_constants` reads; four digits are more than are known."""
    values = vars_of(as_numpy(known))
    rounded = {n: np.round(v, 4).tolist() for n, v in values.items() if n != "columns"}
    return {"columns": list(known.columns), **rounded}


if __name__ == "__main__":
    sys.exit(main())
