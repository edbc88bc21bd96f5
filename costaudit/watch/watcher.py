"""Readings come in, frames go out: a sliding window, its diagnosis, and what changed."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.diagnose import diagnose
from costaudit.measure.phase_seconds import busy
from costaudit.measure.window import window_of
from costaudit.watch.drift import Drift, DriftWatch
from costaudit.watch.frame import Event, Frame
from costaudit.watch.slices import slices_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from costaudit.diagnosis.diagnosis import Diagnosis, Price
    from costaudit.facts.quantities import Page
    from costaudit.measure.window import Window
    from costaudit.record.passive.subject import Subject

WINDOW_S = 30.0  # of the diagnosis
BLOCK_S = 15.0  # of the cost whose drift is watched
SHOWN_BLOCKS = 60
KEPT_EVENTS = 100
HOUR_S = 3600.0
_STEADY = 3  # frames in a row that a symptom must show, or be gone, before it is an event


class Watcher:
    """The state of a watch; `now_s` gives Unix seconds."""

    def __init__(
        self,
        subject: Subject,
        url: str,
        price: Price | None,
        *,
        window_s: float = WINDOW_S,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._subject = subject
        self._url = url
        self._price = price
        self._window_s = window_s
        self._now_s = now_s
        self._pages: deque[Page] = deque()
        self._block: list[Page] = []
        self._costs: deque[float | None] = deque(maxlen=SHOWN_BLOCKS)
        self._drifts = DriftWatch()
        self._drift: Drift | None = None
        self._counts = {"up": 0, "down": 0}
        self._before: Window | None = None
        self._events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._said: set[str] = set()  # symptoms that were told
        self._streaks: dict[str, int] = {}  # frames in a row that differ from that
        self._scrapes = self._failures = 0
        self._lost = ""

    def read(self, page: Page) -> Frame:
        """Take a reading."""
        if self._lost:
            self._tell("it answers again")
        self._lost, self._scrapes = "", self._scrapes + 1
        self._pages.append(page)
        while page.t_s - self._pages[0].t_s > self._window_s and len(self._pages) > 2:  # noqa: PLR2004 - two make a window
            self._pages.popleft()
        self._block.append(page)
        if page.t_s - self._block[0].t_s >= BLOCK_S:
            self._end_block()
        return self._frame()

    def failed(self, why: str) -> Frame:
        """Take a reading that failed."""
        if not self._lost:
            self._tell(f"no reading: {why}")
        self._lost = why
        self._scrapes, self._failures = self._scrapes + 1, self._failures + 1
        return self._frame()

    def _frame(self) -> Frame:
        found = self._diagnosis()
        if found is not None and not self._lost:
            self._follow(found)
        device_s = None if found is None else self._device_s_per_1m(found.window)
        return Frame(
            url=self._url,
            at_s=self._now_s(),
            diagnosis=found,
            lost=self._lost,
            device_s_per_1m=device_s,
            usd_per_1m=self._usd(device_s),
            slices={} if found is None else slices_of(found.window),
            costs=tuple(self._costs),
            unit="device-s" if self._price is None else "usd",
            level=self._drifts.level,
            drift=self._drift,
            drifts=dict(self._counts),
            scrapes=self._scrapes,
            failures=self._failures,
            events=tuple(self._events),
        )

    def _diagnosis(self) -> Diagnosis | None:
        if len(self._pages) < 2:  # noqa: PLR2004 - two make a window
            return None
        return diagnose(self._window(list(self._pages)), self._price)

    def _window(self, pages: list[Page]) -> Window:
        subject = self._subject
        return window_of(
            pages,
            engine=subject.engine,
            version=subject.version,
            model=subject.model,
            knobs=subject.knobs,
            notes=subject.notes,
        )

    def _device_s_per_1m(self, w: Window) -> float | None:
        """Device-seconds paid for per million prompt and generated tokens."""
        prompt, made = signs.prompted(w), signs.generated(w)
        if prompt is None or made is None or prompt + made <= 0 or w.seconds <= 0:
            return None
        devices = 1 if self._price is None else self._price.devices
        return w.seconds * devices * 1e6 / (prompt + made)

    def _usd(self, device_s: float | None) -> float | None:
        if device_s is None or self._price is None:
            return None
        return device_s * self._price.usd_per_device_h / HOUR_S

    def _end_block(self) -> None:
        """The cost of a block that is over, and the drift that it may complete."""
        window = self._window(self._block)
        self._block = self._block[-1:]
        if window.restarts:  # told as a symptom
            return
        device_s = self._device_s_per_1m(window)
        cost = device_s if self._price is None else self._usd(device_s)
        self._costs.append(cost)
        if drift := self._drifts.add(self._now_s(), cost):
            self._drift = drift
            self._counts["up" if drift.share > 0 else "down"] += 1
            self._tell(f"cost per token {drift.share * 100:+.0f} %{self._reason(window)}")
        elif cost is not None and not self._drifts.is_off:
            self._before = window

    def _reason(self, after: Window) -> str:
        """Less or more traffic, or more or less device time per token; "" cannot be told."""
        before = self._before
        if before is None:
            return ""
        then, now = busy(before), busy(after)
        if not then or not now or not before.seconds or not after.seconds:
            return ""
        share_then, share_now = then / before.seconds, now / after.seconds
        if abs(share_now - share_then) > 0.1:  # noqa: PLR2004 - as much as a drift
            return f": busy {share_now * 100:.0f} % of the time, was {share_then * 100:.0f} %"
        batch_then, batch_now = signs.batch_mean(before), signs.batch_mean(after)
        if batch_then and batch_now:
            return f": {batch_now:.1f} requests in the batch, was {batch_then:.1f}"
        return ""

    def _follow(self, found: Diagnosis) -> None:
        """Events for symptoms that came and stayed, or left and stayed away."""
        here = {one.id: one.title for one in found.findings}
        for name in {*here, *self._said}:
            differs = (name in here) != (name in self._said)
            self._streaks[name] = self._streaks.get(name, 0) + 1 if differs else 0
            if self._streaks[name] == _STEADY:
                self._streaks[name] = 0
                self._said ^= {name}
                self._tell(f"{name}: {here[name]}" if name in here else f"{name} is gone")

    def _tell(self, text: str) -> None:
        self._events.append(Event(at_s=self._now_s(), text=text))
