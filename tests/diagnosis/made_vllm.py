"""A small vLLM of our own: its scheduler's rules, a clock that jumps, the metrics it would export.

Not a real server: it shows how rules behave over many loads, lengths and speeds, where a real one
shows a few. Steps as V1 schedules them: decodes first, then prompts under a token budget (whole or
in chunks), a cap on sequences, blocks of KV cache, preemption of the youngest by recomputing, and a
prefix cache. A step takes `step_s + prefill_s · prompt tokens + decode_s · sequences`, with noise.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

from made_metrics import Metrics

from costaudit.measure.window import window_of
from costaudit.target.target import Origin, Value

BLOCK = 16


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Clients that ask, wait, think and ask again; or arrivals at a mean rate (`per_s`)."""

    clients: int = 0
    per_s: float = 0.0
    prompt: tuple[int, int]
    output: tuple[int, int]
    shared: int = 0
    think_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Settings and speed."""

    max_num_seqs: int = 256
    budget: int = 2048
    chunked: bool = True
    caching: bool = True
    kv_tokens: int = 200_000
    step_s: float = 0.02
    prefill_s: float = 5e-5
    decode_s: float = 2e-4
    noise: float = 0.05
    hiccup_s: float = 0.0  # a pause of the machine, about every three seconds


@dataclass(kw_only=True)
class Request:
    """One request on its way."""

    number: int  # of its traffic
    prompt: int
    output: int
    shared: int
    arrived_s: float
    again_s: float | None = None
    computed: int = 0
    hit: int = 0  # tokens found in the prefix cache
    made: int = 0
    began_s: float | None = None
    first_s: float = 0.0
    last_s: float = 0.0
    lost: int = 0  # generated tokens that a preemption makes it compute again

    @property
    def target(self) -> int:
        """Tokens that have to be computed before the next one comes out."""
        return self.prompt + self.lost

    @property
    def blocks(self) -> int:
        """Of KV cache, for what is computed."""
        return -(-(self.computed + max(0, self.made - self.lost)) // BLOCK)


@dataclass(kw_only=True)
class MadeVllm:
    """The server while it runs."""

    engine: Engine
    traffic: tuple[Traffic, ...]
    seed: int
    now_s: float = 0.0
    waiting: deque[Request] = field(default_factory=deque)
    running: list[Request] = field(default_factory=list)
    coming: list[tuple[float, int]] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)
    cached: bool = False

    def __post_init__(self):
        self.rng = random.Random(self.seed)
        for number, load in enumerate(self.traffic):
            self.coming += [(self.rng.random() * 0.1, number) for _ in range(load.clients)]
            if load.per_s:
                self.coming.append((self.rng.expovariate(load.per_s), number))

    def until(self, at_s):
        """Run on to a moment."""
        while self.now_s < at_s:
            self._arrive()
            if self.running or self.waiting:
                if not self._step():
                    self.now_s += 0.01
            else:
                soonest = min((t for t, _ in self.coming), default=at_s)
                self.now_s = max(self.now_s + 1e-6, min(at_s, soonest))

    def _arrive(self):
        for one in [one for one in self.coming if one[0] <= self.now_s]:
            self.coming.remove(one)
            at_s, number = one
            load, rng = self.traffic[number], self.rng
            self.waiting.append(
                Request(
                    number=number,
                    prompt=load.shared + rng.randint(*load.prompt),
                    output=rng.randint(*load.output),
                    shared=load.shared // BLOCK * BLOCK,
                    arrived_s=at_s,
                    again_s=load.think_s if load.clients else None,
                )
            )
            if load.per_s:
                self.coming.append((at_s + rng.expovariate(load.per_s), number))

    def _free(self):
        return self.engine.kv_tokens // BLOCK - sum(one.blocks for one in self.running)

    def _step(self):
        """One step, where anything can be done."""
        work: dict[int, int] = {}
        budget = self._go_on(work)
        self._admit(work, budget)
        if work:
            self._do(work)
        return bool(work)

    def _go_on(self, work):
        """Tokens for those that run; the youngest are pushed out where memory lacks."""
        budget = self.engine.budget
        for one in list(self.running):
            need = min(budget, one.target - one.computed) if one.computed < one.target else 1
            while one in self.running and self._lacks(one, need):
                self._preempt()
            if one in self.running and need > 0:
                work[id(one)] = need
                budget -= need
        return budget

    def _admit(self, work, budget):
        """Those that wait, in order, as far as places, budget and memory go."""
        engine = self.engine
        while self.waiting and len(self.running) < engine.max_num_seqs and budget > 0:
            one = self.waiting[0]
            hit = one.shared if engine.caching and self.cached and not one.computed else 0
            rest = one.target - max(one.computed, hit)
            whole = engine.chunked or rest <= budget
            if not whole or self._free() < -(-min(rest + hit, budget + hit) // BLOCK):
                return
            self.waiting.popleft()
            self._begin(one, hit)
            work[id(one)] = min(budget, rest)
            budget -= work[id(one)]

    def _begin(self, one, hit):
        if one.began_s is None:
            one.began_s = self.now_s
            if self.engine.caching:
                self.metrics.counters["prefix_cache_queries_total"] += one.prompt
                self.metrics.counters["prefix_cache_hits_total"] += hit
        one.computed, one.hit = max(one.computed, hit), hit
        self.running.append(one)

    def _lacks(self, one, need):
        held = one.blocks
        after = -(-(one.computed + max(0, one.made - one.lost) + need) // BLOCK)
        return self._free() < after - held

    def _preempt(self):
        one = self.running.pop()
        one.computed, one.lost = 0, one.made
        self.waiting.appendleft(one)
        self.metrics.counters["num_preemptions_total"] += 1

    def _do(self, work):
        engine = self.engine
        prefills = [one for one in self.running if one.computed < one.target]
        prompts = sum(work.get(id(one), 0) for one in prefills)
        decodes = sum(one.computed >= one.target for one in self.running if id(one) in work)
        took = engine.step_s + engine.prefill_s * prompts + engine.decode_s * decodes
        took *= max(0.5, self.rng.gauss(1, engine.noise))
        if engine.hiccup_s and self.rng.random() < took / 3:
            took += engine.hiccup_s
        self.now_s += took
        tokens = 0
        for one in list(self.running):
            if id(one) not in work:
                continue
            if one.computed < one.target:
                one.computed += work[id(one)]
                if one.computed < one.target:
                    continue
                tokens += 0 if one.lost else one.prompt
            tokens += 1
            self._token(one)
        self.metrics.observe("iteration_tokens_total", tokens)

    def _token(self, one):
        one.made += 1
        self.metrics.counters["generation_tokens_total"] += 1
        if one.made == 1:
            one.first_s = self.now_s
            self.cached = self.cached or bool(one.shared)
            self.metrics.counters["prompt_tokens_total"] += one.prompt
            self.metrics.counters["computed"] += one.prompt - one.hit
            self.metrics.observe("time_to_first_token_seconds", self.now_s - one.arrived_s)
        else:
            self.metrics.observe("inter_token_latency_seconds", self.now_s - one.last_s)
        one.last_s = self.now_s
        if one.made >= one.output:
            self._end(one)

    def _end(self, one):
        self.running.remove(one)
        self.metrics.counters["success"] += 1
        for name, value in (
            ("e2e_request_latency_seconds", self.now_s - one.arrived_s),
            ("request_queue_time_seconds", one.began_s - one.arrived_s),
            ("request_prefill_time_seconds", one.first_s - one.began_s),
            ("request_decode_time_seconds", self.now_s - one.first_s),
            ("request_inference_time_seconds", self.now_s - one.began_s),
            ("request_prompt_tokens", one.prompt),
            ("request_generation_tokens", one.made),
        ):
            self.metrics.observe(name, value)
        if one.again_s is not None:
            self.coming.append((self.now_s + one.again_s, one.number))

    def page(self):
        """The metrics now."""
        gauges = {
            "num_requests_running": len(self.running),
            "num_requests_waiting": len(self.waiting),
            "kv_cache_usage_perc": 1 - self._free() / (self.engine.kv_tokens // BLOCK),
        }
        return self.metrics.page(self.now_s, gauges)


def made_window(engine, *traffic, seed=1, settle_s=10.0, seconds=25.0, told=True):
    """The window of a server that ran for a while; `told`: by its command line too."""
    server = MadeVllm(engine=engine, traffic=traffic, seed=seed)
    pages, at_s = [], settle_s
    while at_s <= settle_s + seconds:
        server.until(at_s)
        pages.append(server.page())
        at_s += 1.05
    knobs = {
        "enable_prefix_caching": engine.caching,
        "kv_tokens_total": engine.kv_tokens,
    }
    if told:
        knobs["max_num_seqs"] = engine.max_num_seqs
        knobs["max_num_batched_tokens"] = engine.budget
        knobs["chunked_prefill"] = engine.chunked
    values = {name: Value(value=v, origin=Origin.EXPORTED) for name, v in knobs.items()}
    return window_of(pages, engine="vllm", version="0.32.0", knobs=values)
