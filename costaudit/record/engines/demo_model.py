"""The demo: a Llama-style model with seeded random weights and a small trained tokenizer.

Nothing is downloaded. The speed of a transformer does not depend on the values of its weights.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = 1  # of everything below; a change makes a new folder
SEED = 20240613
CONTEXT_TOKENS = 4096
VOCAB = 4096
_CORPUS_LINES = 6000
_SPECIAL = ("<pad>", "<s>", "</s>")


def demo_folder() -> Path:
    """Where the demo is kept: $XDG_CACHE_HOME or ~/.cache, under costaudit/."""
    cache = os.environ.get("XDG_CACHE_HOME") or ""
    base = Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache"
    return base / "costaudit" / f"demo-{VERSION}"


def ensure_demo() -> Path:
    """The folder of the demo model, built when it is missing or damaged.

    Raises:
        UsageError: the cache directory cannot be written.
    """
    from costaudit.record.engines.checkpoint import check_checkpoint, read_config

    folder = demo_folder()
    try:
        read_config(folder)
        check_checkpoint(folder)
    except Exception:  # noqa: BLE001 whatever is wrong with it, it is built anew
        _rebuild(folder)
    return folder


def _rebuild(folder: Path) -> None:
    """Build beside the final place and rename, so that nobody ever sees half a model."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    except OSError as err:
        raise UsageError(
            f"cannot write the demo model to {folder.parent}: {err.strerror}",
            hint="set XDG_CACHE_HOME to a directory that can be written",
        ) from err
    try:
        _build(work)
        if folder.exists():
            shutil.rmtree(folder)
        _rename(work, folder)
    except OSError as err:
        raise UsageError(
            f"cannot write the demo model to {folder}: {err.strerror or err}",
            hint="free some space (130 MB) or set XDG_CACHE_HOME",
        ) from err
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _rename(work: Path, folder: Path) -> None:
    try:
        work.rename(folder)
    except OSError as err:
        # another process was faster; its model is the same
        if err.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
            raise


def _build(folder: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from costaudit.record.engines.loading import quiet

    # 31 M parameters: more bytes than a CPU's near caches hold, so decode waits for weights,
    # while a prompt of some hundred tokens is bound by arithmetic. 8 heads share 2 KV heads.
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=512,
        intermediate_size=1792,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = LlamaForCausalLM(config)
    model.generation_config.eos_token_id = None  # random weights have nothing to end on
    with quiet():
        model.save_pretrained(folder)
    _save_tokenizer(folder)


def _save_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        special_tokens=list(_SPECIAL),
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(_sentences(), trainer)
    pad, begin, end = _SPECIAL
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        bos_token=begin,
        eos_token=end,
        model_max_length=CONTEXT_TOKENS,
    ).save_pretrained(folder)


def _sentences() -> Iterator[str]:
    """Nonsense with the word frequencies of a language: the rank-th word appears ~1/rank often."""
    rng = random.Random(SEED)
    syllables = [c + v + e for c in "bdfgklmnprstvz" for v in "aeiou" for e in ("", "l", "n", "r")]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(5000)]
    weights = [1 / (rank + 2) for rank in range(len(words))]
    for _ in range(_CORPUS_LINES):
        yield " ".join(rng.choices(words, weights, k=rng.randint(5, 14))) + "."
