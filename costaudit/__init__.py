"""costaudit: where the money of LLM inference goes, what to fix first, what that will save."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from costaudit.record.attach import Session

__version__ = "0.1.0"
__all__ = ["__version__", "attach"]


def attach(model: Any, **options: Any) -> Session:
    """Watch a Hugging Face model that already runs in this program; see `record.attach.attach`."""
    from costaudit.record.attach import attach as attach_model

    return attach_model(model, **options)
