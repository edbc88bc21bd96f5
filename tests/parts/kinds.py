"""Which real servers there are, and where each is described."""

from __future__ import annotations

from importlib import import_module
from typing import Any

MODULES = {
    "vllm": "vllm_cpu",
    "transformers": "transformers_serve",
    "triton": "triton_server",
    "prometheus": "prometheus",
    "llama-cpp": "llama_server",
}


def module(kind: str) -> Any:
    """The module of a kind: its `PART` is what is installed, its `serve(...)` starts a server."""
    return import_module(f"parts.{MODULES[kind]}")
