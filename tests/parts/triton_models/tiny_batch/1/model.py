"""Triton's Python backend around `generate` on a padded batch. Triton loads this file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True  # or Triton takes __pycache__ for a model
sys.path.append(str(Path(__file__).parents[2]))  # the backend ignores PYTHONPATH
import tiny_generation as tiny  # noqa: E402


class TritonPythonModel:
    """What Triton asks of a Python model."""

    def initialize(self, _args: dict[str, str]) -> None:
        """Load."""
        self.model, self.tokenizer = tiny.load(attention="sdpa")
        self.tokenizer.padding_side = "left"

    def execute(self, requests: list[Any]) -> list[Any]:
        """One batch: it runs for as long as its longest member, and each gets what it asked."""
        budgets = [tiny.max_tokens(request) for request in requests]
        prompts = self.tokenizer(
            [tiny.text(request) for request in requests], return_tensors="pt", padding=True
        )
        longest = max(budgets)
        answers = self.model.generate(
            **prompts, min_new_tokens=longest, max_new_tokens=longest, do_sample=False
        )[:, prompts["input_ids"].shape[1] :]
        return [
            tiny.response(self.tokenizer.decode(answer[:budget]), batched=True)
            for answer, budget in zip(answers, budgets, strict=True)
        ]
