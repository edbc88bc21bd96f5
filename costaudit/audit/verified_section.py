"""How the predictions of this target did that were tried: coverage and error."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from costaudit.ground.stats import median
from costaudit.recording.verified import verified_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from costaudit.measure.metrics import Metrics
    from costaudit.recording.verified import Verified

MOST_SHOWN = 50  # of a target's verifications, the latest
DIGEST = 16  # hexadecimal digits


def target_digest(metrics: Metrics) -> str:
    """The same for all recordings of one model on one kind of device, whatever its precision."""
    target, device = metrics.target, metrics.device
    shape = asdict(target.shape) if target.shape else {}
    shape.pop("name", None)  # where a model lies does not change it
    text = json.dumps(
        [target.kind, target.engine, shape or target.model, device.name],
        sort_keys=True,
        default=str,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST]


def verified_section(path: Path, metrics: Metrics) -> dict[str, Any]:
    """All verifications of this target that lie beside the recording at `path`; empty without.

    `coverage` is the share of the decided figures that were inside; errors are of the predicted
    middle, as a share of the measured ratio.
    """
    found = verified_of(path.parent, target_digest(metrics))
    if not found:
        return {}
    decided = [f for v in found for f in v.figures if f.verdict != "cannot-tell"]
    inside = sum(f.verdict == "inside" for f in decided)
    shares = {"coverage": inside / len(decided)} if decided else {}
    return {
        "verified": {
            "tried": len(found),
            "decided": len(decided),
            "inside": inside,
            **shares,
            **_error(found),
            "runs": [run_section(v) for v in found[-MOST_SHOWN:]],
        }
    }


def _error(found: Sequence[Verified]) -> dict[str, float]:
    """Median error of what decides a verification: its first figure, where it could be decided."""
    firsts = [v.figures[0] for v in found if v.figures]
    errors = [
        abs(f.predicted.mid / f.measured.mid - 1)
        for f in firsts
        if f.measured is not None and f.measured.mid > 0 and f.verdict != "cannot-tell"
    ]
    return {"error_p50_share": median(errors)} if errors else {}


def run_section(verified: Verified) -> dict[str, Any]:
    """One verification; a figure that was not measured has none."""
    return {
        "recording": verified.recording,
        "created": verified.created,
        "steps": list(verified.steps),
        "how": verified.how,
        "notes": list(verified.notes),
        "figures": [
            {
                "metric": f.metric,
                "predicted": asdict(f.predicted),
                **({} if f.measured is None else {"measured": asdict(f.measured)}),
                "verdict": f.verdict,
                "why": f.why,
            }
            for f in verified.figures
        ],
    }
