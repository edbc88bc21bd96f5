"""Triton's Python backend around continuous batching of `transformers`. Triton loads this file."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb
from transformers import ContinuousBatchingConfig, GenerationConfig

sys.dont_write_bytecode = True  # or Triton takes __pycache__ for a model
sys.path.append(str(Path(__file__).parents[2]))  # the backend ignores PYTHONPATH
import tiny_generation as tiny  # noqa: E402

FINAL = pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL
PAGES = ContinuousBatchingConfig(page_size=32, num_blocks=256, max_batch_tokens=256)


class TritonPythonModel:
    """What Triton asks of a Python model."""

    def initialize(self, _args: dict[str, str]) -> None:
        """Load, and start the thread that steps and the one that sends."""
        self.model, self.tokenizer = tiny.load(attention="sdpa")
        self.senders: dict[str, tuple[Any, int]] = {}
        self.count = 0
        self.manager = self.model.init_continuous_batching(
            generation_config=GenerationConfig(do_sample=False, eos_token_id=-1),
            continuous_batching_config=PAGES,
        )
        self.manager.start()
        threading.Thread(target=self.send, daemon=True).start()

    def execute(self, requests: list[Any]) -> None:
        """Queue the requests; their answers come from `send`."""
        for request in requests:
            sender = request.get_response_sender()
            ids = self.tokenizer(tiny.text(request))["input_ids"]
            budget = tiny.max_tokens(request)
            if not 0 < len(ids) + budget <= self.tokenizer.model_max_length or budget < 1:
                refusal = pb.TritonError(f"{len(ids)} prompt and {budget} output tokens do not fit")
                sender.send(pb.InferenceResponse(error=refusal), flags=FINAL)
                continue
            self.count += 1
            name = f"request-{self.count}"
            self.senders[name] = (sender, 0)
            self.manager.add_request(ids, request_id=name, max_new_tokens=budget, streaming=True)

    def send(self) -> None:
        """Hand over each token as it comes; stop a request whose client has gone."""
        for result in self.manager:
            sender, sent = self.senders.pop(result.request_id, (None, 0))
            if sender is None:
                continue
            if sender.is_cancelled():
                self.manager.cancel_request(result.request_id)
                sender.send(flags=FINAL)
                continue
            for token in result.generated_tokens[sent:]:
                sender.send(tiny.response(self.tokenizer.decode([token])))
            if result.is_finished():
                sender.send(flags=FINAL)
            else:
                self.senders[result.request_id] = (sender, len(result.generated_tokens))

    def finalize(self) -> None:
        """Stop the thread that steps."""
        self.manager.stop(block=True, timeout=5)
