"""A real Prometheus with a made-up day of a fleet: what was planted is found, and priced."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from parts.fixtures import part_or_skip

from costaudit.cli.main import run
from costaudit.diagnosis.run_past import PastAsked, diagnose_past
from costaudit.ground.errors import TargetError
from costaudit.report.fleet_console import fleet_text

pytestmark = pytest.mark.servers
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
TICK_S, HOURS, REPLICAS = 60, 2, 40
END_S = (int(time.time()) - 13 * 3600) // 86_400 * 86_400 + 13 * 3600  # after the last midday
FOUND = {"kv-starved": "kv-preemption", "seats": "batch-cap"}


@pytest.fixture(scope="module")
def members():
    from fleets.openmetrics import fleet

    return list(fleet(replicas=REPLICAS, hours=HOURS, tick_s=TICK_S, end_s=END_S))


@pytest.fixture(scope="module")
def url(session_server, members, tmp_path_factory):
    from fleets.openmetrics import write_blocks

    with part_or_skip():
        from parts.prometheus import promtool

        folder = tmp_path_factory.mktemp("tsdb", numbered=True)
        write_blocks(members, folder, promtool(), tick_s=TICK_S, end_s=END_S)
    server = session_server("prometheus", data=folder)
    return server.base_url


def past(url, **more):
    return diagnose_past(PastAsked(url=url, window=f"{HOURS}h", at_s=END_S, **more))


@pytest.fixture(scope="module")
def fleet(url):
    return past(url, usd_per_device_h=2.0)


def test_every_replica_has_its_own_diagnosis(fleet, members):
    truth = {member.pod: member for member in members}
    assert len(fleet.members) == REPLICAS
    for member in fleet.members:
        planted = truth[member.replica.place.pod].state.name
        first = member.finding.id if member.finding else member.diagnosis.state.value
        if planted in FOUND:
            assert first == FOUND[planted], member.replica.place
        if planted == "idle":
            assert first == "idle"
        if planted in {"healthy", "restarted", "late"}:
            assert first not in FOUND.values()


def test_tokens_and_cost_are_those_of_the_fleet(fleet, members):
    """Exact where a replica was there throughout; `increase` over a restart misses a sample."""
    truth = {member.pod: member for member in members}
    for member in fleet.members:
        planted = truth[member.replica.place.pod]
        first, last = planted.life.totals["generated"][[0, -1]]
        unsteady = planted.state.restarts or planted.state.late
        made = planted.life.generated_tokens if unsteady else last - first
        assert member.generated_tokens == pytest.approx(made, rel=0.03 if unsteady else 1e-9)
        assert member.diagnosis.window.restarts == planted.state.restarts
    hours = HOURS * REPLICAS - HOURS / 2 * sum(m.state.late for m in members)
    assert fleet.whole.cost == pytest.approx(2.0 * hours, rel=0.01)
    assert {m.devices.origin for m in fleet.members} == {"DCGM's in its pod"}


def test_dcgm_joins_by_old_and_new_names(fleet, members):
    assert {member.new_dcgm for member in members} == {True, False}
    for member in fleet.members:
        (gpu,) = member.gpus
        assert gpu.pod == member.replica.place.pod
        assert gpu.active_share == pytest.approx(gpu.dram_share / 0.6, abs=0.01)
        assert gpu.power_w >= 120


def test_prefill_seconds_are_nearer_to_the_truth_than_opencost_s(fleet, members):
    truth = {member.pod: member.life for member in members}
    fitted = 0
    for group in fleet.models:
        lives = [truth[m.replica.place.pod] for m in group.members if m.phases is not None]
        prefill = sum(life.prefill_gpu_s for life in lives)
        share = prefill / (prefill + sum(life.decode_gpu_s for life in lives))
        found = group.prompt_share
        assert found.low * 0.95 <= share <= found.high * 1.05
        assert found.by_requests < 0.3 * share
        fitted += found.fitted
        if found.fitted:
            assert found.share == pytest.approx(share, rel=0.1)
    assert fitted == 2  # the third model's replicas all have the same mix: only bounds


def test_the_worst_come_first_and_idle_ones_waste_all(fleet):
    wasted = [member.waste or 0.0 for member in fleet.members]
    assert wasted == sorted(wasted, reverse=True)
    for member in fleet.members:
        if member.diagnosis.state.value == "idle":
            assert member.waste == pytest.approx(member.cost)
        assert 0 <= (member.waste or 0.0) <= member.cost * (1 + 1e-9)


def test_a_selector_and_the_text(url, fleet):
    some = past(url, selector='model_name="qwen3-32b"')
    assert {m.replica.model for m in some.members} == {"qwen3-32b"}
    text = fleet_text(fleet, width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "kv-preemption" in text
    with pytest.raises(TargetError, match="no metrics of an LLM server"):
        past(url, selector="namespace=nowhere")


def test_the_command_prints_valid_json(url, capsys):
    """The window ends now, hours after the last sample: replicas count for as long as they were."""
    assert run(["diagnose", "--prometheus", url, "--window", "2d", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["replicas"]) == REPLICAS
    assert told["unit"] == "device-h"
    assert told["whole"]["cost"] == pytest.approx(HOURS * (REPLICAS - 1), rel=0.2)
