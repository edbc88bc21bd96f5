"""A tokenizer for tools that count tokens themselves: each word of the server is one token."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from parts.tiny_models import sentences

from contest.install import NotInstalledError, Part, Step, installed
from contest.truth import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VOCABULARY = 2048
CHAT = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ROLES = ("<|user|>", "<|assistant|>", "<|system|>")
CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_max_length": 131_072,
    "bos_token": "<s>",
    "eos_token": "</s>",
    "pad_token": "<pad>",
    "chat_template": CHAT,
}


def folder() -> Path:
    """The tokenizer's folder, made on first use.

    Raises:
        NotInstalledError: the package `tokenizers` is missing.
    """
    key = (json.dumps(CONFIG), str(VOCABULARY), *WORDS)
    return installed(Part(name="truth-tokenizer", key=key, build=_build))


def _build(folder: Path, _step: Step) -> None:
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415
    except ImportError as error:
        raise NotInstalledError("the package `tokenizers` is missing") from error
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[CONFIG["pad_token"], CONFIG["bos_token"], CONFIG["eos_token"], *ROLES],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_texts(), trainer)
    if split := [word for word in WORDS if len(bpe.encode(word).ids) != 1]:
        raise NotInstalledError(f"the tokenizer splits {split}")
    bpe.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(CONFIG, indent=1))


def _texts() -> Iterator[str]:
    for sentence in sentences():
        yield sentence + "".join(WORDS)
