"""Audits of the fake engine."""

from __future__ import annotations

from fake_engine import FakeEngine

from costaudit.record.options import ProfileOptions
from costaudit.record.profile import record_profile


def options(path, **others):
    plain = {"target": "fake", "path": path, "time_budget_s": 60.0, "rounds": 2, "replay_rounds": 1}
    return ProfileOptions(**{**plain, **others})


def record(path, engine=None, told=None, **others):
    engine = engine or FakeEngine()
    listener = (told if told is not None else []).append
    return record_profile(
        options(path, **others), progress=listener, opener=lambda _options, _ranges: engine
    )
