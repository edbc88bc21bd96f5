"""Tiny language models with random weights: written here, seeded, with a tokenizer that fits.

Run as a script it writes one model: `python -P tiny_models.py FOLDER KIND SIZE`.
"""

from __future__ import annotations

import random
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parts.cache import Part, Step, installed

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTEXT_TOKENS = 2048
VOCABULARY = 2048
SEED = 20
SPECIAL = ("<pad>", "<s>", "</s>", "<|user|>", "<|assistant|>")
CHAT = (
    "<s>{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# hidden size, layers: 5, 28 and 134 million parameters as Llama
SIZES = {"tiny": (256, 4), "small": (512, 8), "medium": (1024, 12)}
KINDS: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen3_moe": {"num_experts": 8, "num_experts_per_tok": 2, "decoder_sparse_step": 1},
}


def tiny_model(kind: str = "llama", size: str = "tiny") -> Path:
    """Folder of a model as `from_pretrained` reads it: made once, the same on every machine.

    `kind` may be any architecture that these sizes describe, `size` a name or "HIDDENxLAYERS".
    """
    return installed(part(kind, size))


def part(kind: str, size: str) -> Part:
    """A model as a part; its own source and the library that writes it make an older one stale."""

    def build(folder: Path, step: Step) -> None:
        step.run(sys.executable, "-P", __file__, folder, kind, size, PYTHONPATH=search_path())

    versions = (version(package) for package in ("torch", "transformers"))
    return Part(name=f"{kind}-{size}", key=(Path(__file__).read_text(), *versions), build=build)


def version(package: str) -> str:
    """Which `package` would write the model; "none" makes the build say that it is missing."""
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return f"{package} none"


def search_path() -> str:
    """Where the `parts` are imported from."""
    return str(Path(__file__).resolve().parents[1])


def write(folder: Path, kind: str, size: str) -> None:
    """Write weights, configuration and tokenizer into `folder`."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    tokenizer = train_tokenizer()
    hidden, layers = SIZES.get(size) or map(int, size.split("x"))
    config = CONFIG_MAPPING[kind](
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        moe_intermediate_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=hidden // 8,
        max_position_embeddings=CONTEXT_TOKENS,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=False,
        **KINDS.get(kind, {}),
    )
    torch.manual_seed(SEED)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    with torch.no_grad():  # greedy answers then reach their limit instead of ending by chance
        model.get_output_embeddings().weight[tokenizer.eos_token_id] = 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def train_tokenizer() -> Any:
    """Byte-level BPE: every text goes in, and every token comes out as text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(sentences(), trainer)
    pad, bos, eos, *roles = SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=pad,
        bos_token=bos,
        eos_token=eos,
        additional_special_tokens=roles,
        chat_template=CHAT,
        model_max_length=CONTEXT_TOKENS,
    )


def sentences(count: int = 5000) -> Iterator[str]:
    """Sentences of made-up words, short words more often than long ones."""
    draw = random.Random(SEED)
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    words = ["".join(draw.choices(syllables, k=1 + rank // 400)) for rank in range(1600)]
    weights = [1 / (rank + 2) for rank in range(len(words))]
    for _ in range(count):
        yield " ".join(draw.choices(words, weights, k=draw.randint(3, 15))) + "."


if __name__ == "__main__":
    write(Path(sys.argv[1]), *sys.argv[2:])
