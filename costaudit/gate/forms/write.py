"""The forms by name, as `--to FORM=FILE` asks for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from costaudit.gate.decision import as_json
from costaudit.gate.forms.github import markdown
from costaudit.gate.forms.gitlab import code_quality, metrics
from costaudit.gate.forms.junit import junit
from costaudit.gate.forms.sarif import sarif

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from costaudit.gate.decision import Decision


def plain_json(decision: Decision) -> str:
    """The gate's own document."""
    return json.dumps(as_json(decision), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


FORMS: Mapping[str, Callable[[Decision], str]] = {
    "json": plain_json,
    "junit": junit,
    "markdown": markdown,
    "sarif": sarif,
    "gitlab-metrics": metrics,
    "gitlab-codequality": code_quality,
}
