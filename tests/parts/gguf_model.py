"""Write a tiny Llama of `tiny_models` as GGUF: `python -P gguf_model.py MODEL_DIR FILE`.

The names of tensors and keys are the `gguf` package's; that package comes with llama.cpp.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def write(model_dir: Path, file: Path) -> None:
    """Weights as float16, norms as float32, the byte-level BPE as GPT-2's kind."""
    import gguf

    config = json.loads((model_dir / "config.json").read_text())
    writer = gguf.GGUFWriter(file, "llama")
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(hidden)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_rope_dimension_count(hidden // heads)
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    add_tokenizer(writer, gguf, model_dir)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    for name, tensor in tensors(model_dir / "model.safetensors"):
        writer.add_tensor(
            names.get_name(name, try_suffixes=(".weight",)), arranged(name, tensor, config)
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer: Any, gguf: Any, model_dir: Path) -> None:
    """Tokens by id, merges, and which ids are special."""
    vocabulary = json.loads((model_dir / "tokenizer.json").read_text())
    special = {token["content"] for token in vocabulary["added_tokens"]}
    tokens = sorted(vocabulary["model"]["vocab"], key=vocabulary["model"]["vocab"].get)
    kinds = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([kinds.CONTROL if t in special else kinds.NORMAL for t in tokens])
    gguf.SpecialVocab(model_dir, load_merges=True, n_vocab=len(tokens)).add_to_gguf(writer)


def tensors(file: Path) -> Iterator[tuple[str, Any]]:
    """Name and float32 values of every bfloat16 tensor; the safetensors layout, read by hand.

    https://github.com/huggingface/safetensors#format: length of the header, header, bytes.
    NumPy has no bfloat16: it is the upper half of a float32.
    """
    import numpy as np

    content = file.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    for name, about in json.loads(content[8:start]).items():
        if name != "__metadata__":
            first, end = about["data_offsets"]
            halves = np.frombuffer(content[start + first : start + end], np.uint16)
            yield name, (halves.astype(np.uint32) << 16).view(np.float32).reshape(about["shape"])


def arranged(name: str, tensor: Any, config: dict[str, Any]) -> Any:
    """The tensor as llama.cpp wants it: it rotates neighbouring pairs, not the two halves."""
    import numpy as np

    if tensor.ndim == 1:
        return tensor
    for projection, heads in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
        if projection in name:
            pairs = tensor.reshape(config[heads], 2, -1, tensor.shape[1])
            tensor = pairs.swapaxes(1, 2).reshape(tensor.shape)
    return tensor.astype(np.float16)


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
