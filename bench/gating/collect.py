"""Really runs a small model: recordings one after the other, and pairs in turns.

The slow side burns a known share of every forward pass's own thread time behind it, so that the
clock sees a true slow-down of that share. Everything is kept in a folder and made only once.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from costaudit.record.options import ProfileOptions
from costaudit.record.paired import PairedOptions, record_paired
from costaudit.record.profile import open_engine, record_profile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from costaudit.record.profile import Opener

BATCH, SCALE = 4, 0.08
SIZE = {
    "vocab_size": 2048,
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
}


def model_in(folder: Path) -> Path:
    """A small Llama with random weights, made where it is missing."""
    place = folder / "model"
    if not (place / "config.json").exists():
        torch.manual_seed(7)
        config = LlamaConfig(**SIZE, pad_token_id=0, bos_token_id=1, eos_token_id=None)
        AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(place)
    return place


def recordings(
    folder: Path, *, count: int, slow: Sequence[float], tell: Callable[[str], None]
) -> dict[float, list[Path]]:
    """`count` recordings of the model as it is, and of each slow-down, interleaved."""
    model = model_in(folder)
    found: dict[float, list[Path]] = {share: [] for share in (0.0, *slow)}
    for number in range(count):
        shares = [0.0, *slow]
        for share in reversed(shares) if number % 2 else shares:
            path = folder / f"run-{share:.2f}-{number:02d}.costaudit"
            if not path.exists():
                tell(f"recording {path.name}")
                half = path.with_suffix(".half")
                for old in folder.glob(f"{half.name}*"):
                    old.unlink()
                record_profile(
                    ProfileOptions(
                        target=str(model),
                        path=half,
                        dtype="float32",
                        time_budget_s=1.0,
                        rounds=1,
                        replay_rounds=5,
                        requests=16,
                        batch_size=BATCH,
                        scale=SCALE,
                    ),
                    progress=lambda _: None,
                    opener=slower(share),
                )
                half.rename(path)
            found[share].append(path)
    return found


def turns(
    folder: Path, *, share: float, runs: int, rounds: int, tell: Callable[[str], None]
) -> list[list[dict[str, float]]]:
    """Rounds of `runs` pairs: seconds of both sides, the new one slower by `share`."""
    model = model_in(folder)
    found = []
    for number in range(runs):
        path = folder / f"turns-{share:.2f}-{number:02d}.json"
        if not path.exists():
            tell(f"turns {path.name}")
            paired = record_paired(
                PairedOptions(
                    base=str(model),
                    new=f"{model}/.",  # the same folder by another name
                    dtype="float32",
                    rounds=rounds,
                    requests=8,
                    batch_size=BATCH,
                    scale=SCALE,
                ),
                progress=lambda _: None,
                opener=_by_name(share),
            )
            path.write_text(json.dumps([asdict(r)["seconds"] for r in paired.rounds]))
        stored: list[dict[str, dict[str, float]]] = json.loads(path.read_text())
        found.append([{s: sum(p.values()) for s, p in one.items()} for one in stored])
    return found


def slower(share: float) -> Opener:
    """Opens an engine whose forward passes take `share` longer of the thread's time."""

    def opened(options: ProfileOptions, ranges: Any) -> Any:
        engine: Any = open_engine(options, ranges)
        if share > 0:
            engine._forward = _burning(engine._forward, share)  # noqa: SLF001 the step alone
        return engine

    return opened


def _by_name(share: float) -> Opener:
    """Only the side that was named in the other way is slower."""
    return lambda options, ranges: slower(share if options.target.endswith("/.") else 0.0)(
        options, ranges
    )


def _burning(forward: Callable[..., Any], share: float) -> Callable[..., Any]:
    def burned(*args: Any, **kwargs: Any) -> Any:
        began = time.thread_time()
        out = forward(*args, **kwargs)
        now = time.thread_time()
        until = now + share * (now - began)
        while time.thread_time() < until:
            pass
        return out

    return burned
