"""What both models of this Triton repository share; it runs inside the Python backend."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
import triton_python_backend_utils as pb
from transformers import AutoModelForCausalLM, AutoTokenizer


def load(*, attention: str) -> tuple[Any, Any]:
    """The tiny model and its tokenizer; one thread, since two cores are shared with the client."""
    torch.set_num_threads(1)
    folder = os.environ["TINY_MODEL"]
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, attn_implementation=attention
    )
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def text(request: Any) -> str:
    """The prompt."""
    prompt = pb.get_input_tensor_by_name(request, "text_input").as_numpy().reshape(-1)[0]
    return prompt.decode(errors="replace")


def max_tokens(request: Any) -> int:
    """How many tokens the answer is to have."""
    return int(pb.get_input_tensor_by_name(request, "max_tokens").as_numpy().reshape(-1)[0])


def response(answer: str, *, batched: bool = False) -> Any:
    """A response that holds `answer`."""
    shape = (1, 1) if batched else (1,)
    content = np.array([answer.encode()], dtype=object).reshape(shape)
    return pb.InferenceResponse([pb.Tensor("text_output", content)])
