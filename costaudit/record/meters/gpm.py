"""GPM, the only source of true DRAM bandwidth inside NVML: Hopper and newer.

Two snapshots of the device's counters are taken, and NVML works out the averages between them.
The driver refreshes the counters about every 100 ms, so one decode step is far too short: take the
snapshots at both ends of a homogeneous span of `MIN_SPAN_S` or more. Source: nvml.h, section GPM.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from costaudit.record.meters.nvml_faults import fault
from costaudit.recording.rows import Gauge, Instrument, State

METER = "nvml.gpm"
TIER = "T1"
MIN_SPAN_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class GpmReading:
    """Averages over a span, each 0 to 1; None where NVML gave none.

    `dram_share` is of the theoretical bandwidth, and `why` tells why it is None. `sm_share` and
    `tensor_share` are the shares of SMs busy, and of time in which they did any tensor operation.
    """

    dram_share: float | None = None
    sm_share: float | None = None
    tensor_share: float | None = None
    why: str = ""


class Gpm:
    """GPM of one device; `state` says whether it can be used. No call raises for the device."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self.state = self._tried()

    def begin(self) -> Any:
        """A snapshot for `end`, or None when GPM cannot be used."""
        if self.state.state is not State.OK:
            return None
        try:
            return self._snapshot()
        except self._nvml.NVMLError as err:
            self._lose(err)
            return None

    def end(self, begun: Any, seconds: float) -> GpmReading:
        """The averages since `begun`, `seconds` ago; frees it."""
        if begun is None:
            return GpmReading(why=self.state.why)
        if seconds < MIN_SPAN_S:
            self._free(begun)
            return GpmReading(why=f"a span of {seconds:.3f} s is below GPM's {MIN_SPAN_S} s")
        ended = self.begin()
        try:
            return GpmReading(why=self.state.why) if ended is None else self._averages(begun, ended)
        except self._nvml.NVMLError as err:
            self._lose(err)
            return GpmReading(why=self.state.why)
        finally:
            for sample in (begun, ended):
                if sample is not None:
                    self._free(sample)

    def release(self, begun: Any) -> None:
        """Free a snapshot that will have no end."""
        if begun is not None:
            self._free(begun)

    def _tried(self) -> Instrument:
        nvml, why = self._nvml, ""
        state = State.ABSENT
        if not hasattr(nvml, "nvmlGpmSampleGet"):
            why = "this nvidia-ml-py is older than GPM"
        else:
            try:
                if nvml.nvmlGpmQueryDeviceSupport(self._handle).isSupportedDevice:
                    self._free(self._snapshot())
                    state = State.OK
                else:
                    why = "the device has no GPM (it needs Hopper or newer)"
            except nvml.NVMLError as err:
                state, why = fault(nvml, err, "GPM")
        return Instrument(meter=METER, state=state, tier=TIER, why=why)

    def _lose(self, err: Any) -> None:
        state, why = fault(self._nvml, err, "GPM", worked=True)
        self.state = Instrument(meter=METER, state=state, tier=TIER, why=why)

    def _snapshot(self) -> Any:
        sample = self._nvml.nvmlGpmSampleAlloc()
        try:
            self._nvml.nvmlGpmSampleGet(self._handle, sample)
        except self._nvml.NVMLError:
            self._free(sample)
            raise
        return sample

    def _free(self, sample: Any) -> None:
        with suppress(self._nvml.NVMLError):  # a lost device frees nothing, and nothing is to do
            self._nvml.nvmlGpmSampleFree(sample)

    def _averages(self, begun: Any, ended: Any) -> GpmReading:
        nvml = self._nvml
        ids = (
            nvml.NVML_GPM_METRIC_DRAM_BW_UTIL,
            nvml.NVML_GPM_METRIC_SM_UTIL,
            nvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL,
        )
        request = nvml.c_nvmlGpmMetricsGet_t()
        request.version = nvml.NVML_GPM_METRICS_GET_VERSION
        request.numMetrics = len(ids)
        request.sample1, request.sample2 = begun, ended
        for place, metric in enumerate(ids):
            request.metrics[place].metricId = metric
        nvml.nvmlGpmMetricsGet(request)
        dram, sm, tensor = (self._share(request.metrics[n]) for n in range(len(ids)))
        return GpmReading(dram_share=dram[0], sm_share=sm[0], tensor_share=tensor[0], why=dram[1])

    def _share(self, metric: Any) -> tuple[float | None, str]:
        """Each metric carries a return code of its own beside the call's."""
        if metric.nvmlReturn != self._nvml.NVML_SUCCESS:
            reason = self._nvml.NVMLError(metric.nvmlReturn)
            return None, f"GPM metric {metric.metricId}: {reason} (NVML {metric.nvmlReturn})"
        percent = float(metric.value)
        if not math.isfinite(percent) or not 0.0 <= percent <= 100.0:  # noqa: PLR2004 - percent
            return None, f"GPM metric {metric.metricId} reads {percent}, outside 0 to 100"
        return percent / 100.0, ""


class GpmCourse:
    """Averages over the time between a recording's own looks: GPM as gauges on its timeline."""

    def __init__(self, gpm: Gpm) -> None:
        self._gpm = gpm
        self._begun: Any = None
        self._since_s = 0.0

    def sample(self, t_s: float, now_s: float) -> list[Gauge]:
        """What it was since the last look that gave any; nothing before `MIN_SPAN_S` are over.

        A gauge stands at the middle of the time that it is the average of.
        """
        if self._begun is not None and now_s - self._since_s < MIN_SPAN_S:
            return []
        begun, seconds = self._begun, now_s - self._since_s
        reading = GpmReading() if begun is None else self._gpm.end(begun, seconds)
        self._begun, self._since_s = self._gpm.begin(), now_s
        shares = {
            "dram_share": reading.dram_share,
            "sm_share": reading.sm_share,
            "tensor_share": reading.tensor_share,
        }
        return [
            Gauge(t_s=t_s - seconds / 2, meter=METER, name=name, value=share, unit="share")
            for name, share in shares.items()
            if share is not None
        ]

    def close(self) -> None:
        """Free what was begun."""
        begun, self._begun = self._begun, None
        self._gpm.release(begun)
