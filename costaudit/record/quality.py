"""The same text under two models in this process: how likely it is, and what each would say next.

Each window of the text is scored by itself under teacher forcing: at every position both models
see the true tokens before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.ground.errors import TargetError, UsageError
from costaudit.record.options import AS_IT_COMES, EngineSettings, Progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from costaudit.record.engines.transformers_local import TransformersEngine
    from costaudit.record.options import Listener

MOST_BYTES = 64 << 20  # of the text
LONGEST_WINDOW, SHORTEST_WINDOW = 512, 32
FEWEST_WINDOWS, WANTED_WINDOWS = 4, 16
BYTE_VALUES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityOptions:
    """Two models and a text. `most_tokens` of it are scored, from its beginning."""

    text: Path
    base: str
    new: str
    new_settings: EngineSettings = AS_IT_COMES
    device: str = "auto"
    dtype: str = "auto"
    trust_remote_code: bool = False
    most_tokens: int = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One window: tokens that were predicted, their summed negative log-likelihood, agreements."""

    tokens: int
    base_nats: float
    new_nats: float
    agreed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """All windows; `weights` is "random" where the text is noise to both models."""

    windows: tuple[Window, ...]
    weights: str
    notes: tuple[str, ...]


def score_text(options: QualityOptions, *, progress: Listener) -> Scored:
    """Score the text under both models, one after the other.

    Raises:
        UsageError: the text cannot be read or is too short, or a flag is wrong.
        TargetError: a model is none, has another vocabulary, or does not fit the memory.
    """
    ids, notes = _tokens(options, _read(options.text))
    windows: list[Sequence[int]] = []
    found: list[list[tuple[list[float], list[int]]]] = []
    weights = ""
    for name, settings in ((options.base, AS_IT_COMES), (options.new, options.new_settings)):
        progress(Progress(fraction=len(found) / 2, label=f"scoring {name}", seconds_left=None))
        engine = _open(options, name, settings)
        try:
            shape = engine.target.known_shape
            if max(ids, default=0) >= shape.vocab:
                raise TargetError(f"{name} has another vocabulary than {options.base}")
            windows = windows or _windows(ids, shape.max_context_tokens)
            weights = weights or engine.target.weights
            found.append([engine.scores(window) for window in windows])
        finally:
            engine.close()
    pairs = zip(*found, strict=True)
    return Scored(
        windows=tuple(_window(*base, *new) for base, new in pairs), weights=weights, notes=notes
    )


def _window(
    base_nats: list[float], base_next: list[int], new_nats: list[float], new_next: list[int]
) -> Window:
    return Window(
        tokens=len(base_nats),
        base_nats=sum(base_nats),
        new_nats=sum(new_nats),
        agreed=sum(a == b for a, b in zip(base_next, new_next, strict=True)),
    )


def _open(options: QualityOptions, name: str, settings: EngineSettings) -> TransformersEngine:
    from costaudit.record.engines.open_local import open_local

    return open_local(
        name,
        device=options.device,
        dtype=options.dtype,
        trust_remote_code=options.trust_remote_code,
        settings=settings,
    )


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path} is larger than {MOST_BYTES} bytes")
        return path.read_text(encoding="utf-8")
    except OSError as err:
        raise UsageError(f"cannot read {path}: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise UsageError(f"{path} is no text in UTF-8") from err


def _tokens(options: QualityOptions, text: str) -> tuple[list[int], tuple[str, ...]]:
    """By the unquantized model's own tokenizer; bytes where it has none."""
    from transformers import AutoTokenizer

    from costaudit.record.engines.loading import quiet
    from costaudit.record.engines.model_source import find_source
    from costaudit.record.engines.open_local import require_torch

    require_torch()
    source = find_source(
        options.base,
        dummy_weights=False,
        trust_remote_code=options.trust_remote_code,
        revision=None,
    )
    most, notes = options.most_tokens, list[str]()
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                source.folder,
                local_files_only=True,
                trust_remote_code=options.trust_remote_code,
            )
            ids = list(tokenizer(text[: most * BYTE_VALUES])["input_ids"])
    except (OSError, ValueError, KeyError):
        ids = list(text.encode())
        notes.append("the model has no tokenizer that can be read: bytes stand for its tokens")
    if len(ids) > most:
        notes.append(f"the first {most} tokens of the text were scored")
    return ids[:most], tuple(notes)


def _windows(ids: Sequence[int], context: int) -> list[Sequence[int]]:
    """Equal windows, many enough for an interval; what is left at the end is not scored.

    Raises:
        UsageError: the text is too short.
    """
    size = min(max(len(ids) // WANTED_WINDOWS, SHORTEST_WINDOW), LONGEST_WINDOW, context)
    windows = [ids[start : start + size] for start in range(0, len(ids) - size + 1, size)]
    if len(windows) < FEWEST_WINDOWS:
        raise UsageError(
            f"a text of {len(ids)} tokens is too short to judge quality by",
            hint=f"give one of at least {FEWEST_WINDOWS * SHORTEST_WINDOW} tokens, better 16,000",
        )
    return windows
