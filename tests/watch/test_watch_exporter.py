"""Our own metrics: what is unknown is absent, and Prometheus' own tools find no fault."""

from __future__ import annotations

import subprocess
import urllib.request

import pytest
from parts.fixtures import part_or_skip
from parts.running import free_port
from prometheus_client.parser import text_string_to_metric_families
from watched import play, watching

from costaudit.ground.errors import UsageError
from costaudit.watch.exporter import exporting, host_and_port


def scraped(frame):
    port = free_port()
    with exporting(f"127.0.0.1:{port}") as exporter:
        exporter.show(frame)
        url = f"http://127.0.0.1:{port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.read().decode()


def values(text):
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_frame_is_what_is_exported():
    frame, _ = play(*watching(), 40, 500.0, preemptions=3.0)
    found = values(scraped(frame))
    assert found["costaudit_usd_per_1m_tokens", "all"] == pytest.approx(frame.usd_per_1m)
    assert found["costaudit_slice_ratio", "decode"] == pytest.approx(frame.slices["decode"])
    assert found["costaudit_kv_usage_ratio", "max"] == 0.5
    assert found["costaudit_symptom", "kv-preemption"] == 0
    assert found[("costaudit_up",)] == 1


def test_nobody_is_woken_for_few_clients():
    found = values(scraped(play(*watching(), 40, 500.0, running=1.0)[0]))
    assert found["costaudit_symptom", "client-limited"] == 0.5
    assert found["costaudit_symptom", "kv-full"] == 0


def test_what_is_unknown_is_absent_and_no_zero():
    frame, _ = play(*watching(None), 40, 0.0, running=0.0)
    names = {key[0] for key in values(scraped(frame))}
    assert "costaudit_usd_per_1m_tokens" not in names
    assert "costaudit_prefix_hit_ratio" not in names
    watcher, clock = watching()
    play(watcher, clock, 40, 500.0)
    found = values(scraped(watcher.failed("gone")))
    assert found[("costaudit_up",)] == 0
    assert not any("usd" in key[0] or "symptom" in key[0] for key in found)


def test_addresses_to_export_at():
    everywhere = "0.0.0.0"  # noqa: S104 - what ":PORT" means
    assert host_and_port(":9464") == host_and_port("9464") == (everywhere, 9464)
    assert host_and_port("[::1]:9464") == ("::1", 9464)
    for bad in ("", ":", "host", ":0", ":70000", "a:b"):
        with pytest.raises(UsageError):
            host_and_port(bad)


def test_a_taken_port_is_said():
    port = free_port()
    with (
        exporting(f"127.0.0.1:{port}"),
        pytest.raises(UsageError, match="cannot export"),
        exporting(f"127.0.0.1:{port}"),
    ):
        pass


@pytest.mark.servers
def test_promtool_finds_no_fault(checkout):
    with part_or_skip():
        from parts.prometheus import promtool

        tool = promtool()
    lost = watching()[0].failed("gone")
    for frame in (play(*watching(), 40, 500.0, preemptions=9.0)[0], lost):
        assert told(tool, "check", "metrics", page=scraped(frame)) == (0, "")
    for rules in (checkout / "docs/watch").glob("*.yml"):
        assert told(tool, "check", "rules", rules)[0] == 0


def told(*command, page=""):
    done = subprocess.run(command, input=page, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr
