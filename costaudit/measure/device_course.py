"""What a GPU and torch's allocator on it did over the whole recording, from their gauges."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from costaudit.measure.metrics import DeviceMetrics
    from costaudit.recording.recording import Recording

ALLOCATOR, THROTTLE = "torch.memory", "nvml.throttle"  # meters
_COUNTER = "throttled_"  # of seconds since the driver loaded, one for each reason
# Of the allocator's gauges the highest reading is what matters: that is when memory was short.
_HIGHEST = {
    "allocated_peak": "allocated_peak_bytes",
    "reserved_peak": "reserved_peak_bytes",
    "fragmented_share": "fragmented_peak_share",
}


def with_course(device: DeviceMetrics, recording: Recording) -> DeviceMetrics:
    """The device with `allocator` and `throttled_share`; both stay empty where nobody counted."""
    held = recording.extents(ALLOCATOR)
    counted = recording.extents(THROTTLE)
    return replace(
        device,
        allocator={name: held[gauge].high for gauge, name in _HIGHEST.items() if gauge in held},
        throttled_share={
            name.removeprefix(_COUNTER): min(max(extent.rise, 0.0) / extent.seconds, 1.0)
            for name, extent in counted.items()
            if name.startswith(_COUNTER) and extent.seconds > 0
        },
    )
