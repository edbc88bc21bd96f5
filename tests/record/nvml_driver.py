"""Runs the NVML meters in a process of their own, under the fake driver."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from nvml_library import environment

PEAK_BYTES_PER_S = 2 * 3201e6 * 6144 / 8

# The clock is ours too: a span lasts exactly as long as it is told.
DRIVER = """
import json, sys
from dataclasses import asdict
import costaudit.record.meters.nvml as m

class Clock:
    now = 100.0
    def perf_counter(self):
        return self.now

clock = m.time = Clock()
opened = m.open_nvml(json.loads(sys.argv[1]))
if not isinstance(opened, m.NvmlMeter):
    print(json.dumps({"opened": asdict(opened)}))
    sys.exit()
out = {"opened": None, "spans": []}
with opened as meter:
    out["at_open"] = {i.meter: asdict(i) for i in meter.instruments()}
    out["facts"] = {f.name: asdict(f) for f in meter.facts()}
    out["first"] = [asdict(g) for g in meter.sample(0.25)]
    clock.now += 1.0
    for seconds in json.loads(sys.argv[2]):
        with meter.span() as span:
            if seconds is None:  # as long as it takes, sampled meanwhile
                while not span.enough():
                    clock.now += 0.25
                    meter.sample(clock.now)
            else:
                clock.now += seconds
        out["spans"].append(asdict(span.reading))
    out["last"] = [asdict(g) for g in meter.sample(0.5)]
    out["at_end"] = {i.meter: asdict(i) for i in meter.instruments()}
out["closed"] = len(meter.sample(0.75))
out["leaked"] = meter._nvml.nvmlLib.fake_live_samples()
print(json.dumps(out))
"""


def driven(
    folder: Path,
    device: int | str = 0,
    spans: tuple[float | None, ...] = (2.0,),
    dcgm: str = "off",
    **env: str,
) -> Any:
    environ = {**environment(folder, **env), "COSTAUDIT_DCGM_URL": dcgm}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(device), json.dumps(spans)],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)
