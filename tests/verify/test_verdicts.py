"""Inside, outside, or cannot tell; what is visible; what is kept and how it is shown."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from playbook_situation import situation

from costaudit.audit.verified_section import run_section, target_digest, verified_section
from costaudit.contrast.change import from_pairs
from costaudit.ground.errors import UsageError
from costaudit.recording.verified import Bounds, Figure, Verified, append, read, store_of
from costaudit.report.verified_rows import verified_line, verified_rows, verified_text
from costaudit.target.target import Origin, Value
from costaudit.verify.verdict import figure_of
from costaudit.verify.verify import steps_of
from costaudit.verify.visible import look

HALF = Bounds(low=0.48, mid=0.5, high=0.53)
SPREAD = (-0.004, 0.003, 0.002, -0.001)


def measured(log, *, noise=1.0):
    return from_pairs([log + noise * s for s in SPREAD])


@pytest.mark.parametrize(
    ("log", "noise", "verdict", "says"),
    [
        (-0.69, 1, "inside", ""),
        (-0.90, 1, "outside", ""),
        (0.0, 1, "outside", ""),
        (-0.63, 4, "cannot-tell", "reaches into"),
        (-0.69, 90, "cannot-tell", "±"),
    ],
)
def test_each_verdict(log, noise, verdict, says):
    figure = figure_of("x", HALF, measured(log, noise=noise), why_not="")
    assert figure.verdict == verdict
    assert says in figure.why
    assert figure.measured.low <= figure.measured.mid <= figure.measured.high


def test_a_reason_stands_above_what_was_measured():
    figure = figure_of("x", HALF, measured(-0.69), why_not="it is not visible")
    assert (figure.verdict, figure.why) == ("cannot-tell", "it is not visible")
    assert figure.measured is not None
    assert figure_of("x", HALF, None, why_not="").verdict == "cannot-tell"


def told(**knobs):
    seen = situation({"name": "x", "knobs": {"max_num_seqs": 8}})
    values = {name: Value(value=value, origin=Origin.EXPORTED) for name, value in knobs.items()}
    target = replace(seen.metrics.target, knobs=values)
    return seen.scenario, replace(seen.metrics, target=target)


def test_a_knob_that_still_has_its_old_value_is_not_visible():
    today, before = told(max_num_seqs=8)
    wanted = replace(today, knobs=replace(today.knobs, max_num_seqs=64))
    seen = look(before, told(max_num_seqs=8)[1], today, wanted)
    assert seen.unchanged == ("max_num_seqs",)
    assert not seen.set_to


def test_a_knob_set_otherwise_is_predicted_as_it_is():
    today, before = told(max_num_seqs=8, prefix_caching=False)
    wanted = replace(today, knobs=replace(today.knobs, max_num_seqs=64))
    seen = look(before, told(max_num_seqs=16, prefix_caching=True)[1], today, wanted)
    assert seen.as_set(wanted).knobs.max_num_seqs == 16
    assert any("the step would set 64" in note for note in seen.notes)
    assert any("prefix_caching went from False to True" in note for note in seen.notes)


def test_a_change_that_nothing_shows_is_taken_on_trust():
    today, before = told(max_num_seqs=8)
    seen = look(before, before, today, today)
    assert "on trust" in seen.notes[0]


def verified(target, *verdicts, created="2026-01-01T00:00:00+00:00"):
    ratio = {"inside": 0.5, "outside": 0.8, "cannot-tell": 0.55}
    return Verified(
        target=target,
        recording="x.costaudit",
        created=created,
        steps=("continuous-batching",),
        how="A-B-B-A",
        notes=(),
        figures=tuple(
            Figure(
                metric="gpu_s_per_1m_tokens",
                predicted=HALF,
                measured=Bounds(low=ratio[v] - 0.01, mid=ratio[v], high=ratio[v] + 0.01),
                verdict=v,
                why="" if v != "cannot-tell" else "it <b>is</b> noisy",
            )
            for v in verdicts
        ),
    )


def test_a_line_cut_short_loses_that_line_only(tmp_path):
    path = store_of(tmp_path / "x.costaudit")
    append(path, verified("t", "inside"))
    with path.open("a", encoding="utf-8") as file:
        file.write('{"schema": "costaudit.verified/1", "targ')
    append(path, verified("t", "outside"))
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"schema": "costaudit.verified/2"}) + "\n[]\n\x00\n")
    assert [v.figures[0].verdict for v in read(path)] == ["inside", "outside"]


def test_only_this_targets_trials_count(tmp_path):
    metrics = situation({"name": "x"}).metrics
    run, ours = tmp_path / "new.costaudit", target_digest(metrics)
    assert verified_section(run, metrics) == {}
    append(store_of(tmp_path / "old.costaudit"), verified(ours, "inside"))
    append(store_of(run), verified(ours, "outside", created="2026-02-01T00:00:00+00:00"))
    append(store_of(run), verified(ours, "cannot-tell", created="2026-03-01T00:00:00+00:00"))
    append(store_of(run), verified("another", "outside"))
    section = verified_section(run, metrics)["verified"]
    assert (section["tried"], section["decided"], section["inside"]) == (3, 2, 1)
    assert section["coverage"] == 0.5
    assert section["error_p50_share"] == pytest.approx((0 + 0.375) / 2)  # 0.5 over 0.8
    document = {"verified": section}
    assert "1 of 2 figures" in verified_line(document)
    assert [row.verdict for row in verified_rows(document)] == ["cannot tell", "outside", "inside"]


def test_what_stands_beside_the_prediction():
    text = verified_text(run_section(verified("t", "inside")))
    assert "-52 to -47 %" in text
    assert "-50 % (-51 to -49 %)" in text
    assert verified_line({}) == ""


@pytest.mark.parametrize("ids", [(), ("continuos-batching",), ("w8a8", "weight-quantization")])
def test_steps_that_cannot_be_tried(ids):
    with pytest.raises(UsageError):
        steps_of(ids)
