"""The GPUs beside a server: which are its own, by the processes on them, MIG devices by UUID.

The unmodified pynvml talks to our own libnvidia-ml (tests/fakes/nvml.c); the servers are processes
of this test that listen on ports.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from nvml_library import build, environment

# Two engines behind one host: children of this process that listen.
DRIVER = """
import json, os, signal, socket, sys
from costaudit.diagnosis.diagnose import diagnose
from costaudit.facts.quantities import Page
from costaudit.measure.window import window_of
from costaudit.record.passive.device import local_devices, readings
from costaudit.report.diagnosis_rows import fact_rows

ports, pids, told = [], [], []
for _ in range(2):
    line = socket.socket()
    line.bind(("127.0.0.1", 0))
    line.listen()
    ports.append(line.getsockname()[1])
    pids.append(os.fork())
    if pids[-1] == 0:
        signal.pause()
    line.close()
os.environ["FAKE_NVML_LAYOUT"] = sys.argv[1].format(*pids)
for port in ports:
    meters, why = local_devices(f"http://127.0.0.1:{port}")
    pages = [Page(t_s=t, quantities=readings(meters)) for t in (0.0, 1.0)]
    found = diagnose(window_of(pages, engine="vllm"))
    row = next(row for row in fact_rows(found) if row.label == "GPU")
    told.append([sorted(meters), why, row.text, dict(found.facts.gpu), dict(found.facts.gpus)])
for pid in pids:
    os.kill(pid, signal.SIGKILL)
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def fake_driver(tmp_path_factory):
    return build(tmp_path_factory.mktemp("fake_nvml"))


def looked(folder, layout):
    environ = {**environment(folder), "COSTAUDIT_DCGM_URL": "off"}
    command = [sys.executable, "-c", DRIVER, layout]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_each_of_two_engines_has_the_gpu_that_its_process_is_on(fake_driver):
    first, second = looked(fake_driver, "GPU-0:{1} GPU-1:{0} GPU-2")
    assert (first[0], second[0]) == (["GPU-1"], ["GPU-0"])
    assert (first[1], second[1]) == ("", "")
    assert first[3]["gpu.kernel_running_share"] == pytest.approx(0.79)
    assert second[3]["gpu.kernel_running_share"] == pytest.approx(0.99)
    assert "1 GiB of 140 GiB in use" in first[2]


def test_several_gpus_of_one_engine_are_added_up_and_kept_apart(fake_driver):
    first, second = looked(fake_driver, "GPU-0:{0} GPU-1:7,{0} GPU-2:{1}")
    assert first[0] == ["GPU-0", "GPU-1"]
    assert first[3]["gpu.kernel_running_share"] == pytest.approx(0.89)
    assert first[3]["gpu.memory_used"] == 2 << 30
    assert first[4]["GPU-1"]["gpu.kernel_running_share"] == pytest.approx(0.79)
    assert first[2].startswith("2 devices, ")
    assert "79 % to 99 %" in first[2].replace("\N{NO-BREAK SPACE}", " ")
    assert second[0] == ["GPU-2"]


def test_mig_devices_are_told_by_their_uuids(fake_driver):
    first, second = looked(fake_driver, "GPU-0 MIG-a:{0} MIG-b:{1} GPU-1")
    assert (first[0], second[0]) == (["MIG-a"], ["MIG-b"])
    assert "gpu.kernel_running_share" not in first[3]  # a MIG device has none, which is no zero
    assert first[3]["gpu.memory_used"] == 1 << 30


def test_of_several_devices_that_nobody_is_on_none_is_guessed(fake_driver):
    for layout in ("GPU-0 GPU-1:1", "GPU-0 MIG-a MIG-b"):
        for uuids, why, row, *_ in looked(fake_driver, layout):
            assert uuids == []
            assert why.startswith("2 GPUs or MIG devices are on this machine")
            assert row == "no data"


def test_the_only_gpu_is_the_server_s(fake_driver):
    for uuids, why, *_ in looked(fake_driver, "GPU-0"):
        assert (uuids, why) == (["GPU-0"], "")
