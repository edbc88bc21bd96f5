"""The simulation against a plain loop that takes one step and one token at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.target.load import StepLoad
from costaudit.target.shape import ModelShape
from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.scenario import Batching, Knobs, KvLayout, Prices, Scenario
from costaudit.whatif.simulate import simulate
from costaudit.whatif.steptime import Peaks, StepTime

SHAPE = ModelShape(
    name="tiny",
    architecture="LlamaForCausalLM",
    layers=2,
    hidden=64,
    ffn=128,
    heads=4,
    kv_heads=2,
    head_dim=16,
    vocab=256,
    max_context_tokens=64,
)
STEP_TIME = StepTime(
    shape=SHAPE,
    peaks=Peaks(flops_per_s=1e9, bandwidth_bytes_per_s=1e9),
    param_bytes=4,
    kv_element_bytes=4,
    coefficients={
        "overhead": 3e-4,
        "sequences": 2e-5,
        "weights": 1.2,
        "kv": 1.4,
        "decode_compute": 0.6,
        "prefill_compute": 1.5,
    },
)


@dataclass
class Row:
    order: int
    request: Request
    arrival_s: float
    tokens_s: list = field(default_factory=list)
    computed: int = 0
    target: int = 0
    was_computed: int = 0
    entered: bool = False

    @property
    def final(self):
        return self.request.prompt_tokens + max(self.request.output_tokens, 1) - 1

    @property
    def missing(self):
        return self.request.output_tokens - len(self.tokens_s)


@dataclass
class Plain:
    """One token at a time, everything counted afresh in every step."""

    scenario: Scenario
    now: float = 0.0
    busy_s: float = 0.0
    idle_s: float = 0.0
    steps: int = 0
    preemptions: int = 0
    recomputed: int = 0
    hits: int = 0
    peak: int = 0
    together: int = 0
    coming: list = field(default_factory=list)
    waiting: list = field(default_factory=list)
    decoding: list = field(default_factory=list)
    filling: list = field(default_factory=list)
    ended: list = field(default_factory=list)
    stored: dict = field(default_factory=dict)  # prefix id → blocks that hold their tokens

    def __post_init__(self):
        knobs = self.scenario.knobs
        self.block = {
            KvLayout.PAGED: knobs.kv_block_tokens,
            KvLayout.STATIC: knobs.max_model_len,
            KvLayout.DYNAMIC: 1,
        }[knobs.kv_layout]
        self.total = knobs.kv_budget_tokens // self.block
        self.caching = knobs.prefix_caching and knobs.kv_layout is KvLayout.PAGED
        self.coming = [
            Row(i, r, r.arrival_s, target=r.prompt_tokens)
            for i, r in enumerate(self.scenario.traffic.requests)
        ]

    def shareable(self, row):
        request = row.request
        if request.prefix_id is None or not self.caching:
            return 0
        return max(min(request.prefix_tokens, request.prompt_tokens - 1), 0) // self.block

    def used(self, ahead=0):
        own = sum(math.ceil(r.target / self.block) - self.shareable(r) for r in self.filling)
        for row in self.decoding:
            own += math.ceil((row.computed + ahead) / self.block) - self.shareable(row)
        pins = {}
        for row in self.filling + self.decoding:
            key = row.request.prefix_id
            pins[key] = max(pins.get(key, 0), self.shareable(row))
        return own + sum(pins.values())

    def fits(self, row):
        if self.scenario.knobs.kv_layout is KvLayout.DYNAMIC:
            return sum(r.final for r in [row, *self.filling, *self.decoding]) <= self.total
        self.filling.append(row)
        used = self.used(ahead=1)
        self.filling.pop()
        return used <= self.total

    def run(self):
        closed = self.scenario.traffic.concurrency
        while self.coming or self.waiting or self.decoding or self.filling:
            if closed:
                inside = len(self.waiting) + len(self.decoding) + len(self.filling)
                while self.coming and inside < closed:
                    self.coming[0].arrival_s = self.now
                    self.waiting.append(self.coming.pop(0))
                    inside += 1
            while not closed and self.coming and self.coming[0].arrival_s <= self.now:
                self.waiting.append(self.coming.pop(0))
            if not (self.waiting or self.decoding or self.filling):
                self.idle_s += self.coming[0].arrival_s - self.now
                self.now = self.coming[0].arrival_s
                continue
            self.step()
        return self

    def step(self):
        knobs = self.scenario.knobs
        preempted = False
        while self.used(ahead=1) > self.total:
            preempted = True
            self.preempt(max(self.decoding + self.filling, key=lambda row: row.order))
        limit = knobs.max_num_batched_tokens
        budget = 10**9 if limit is None else limit - len(self.decoding)
        chunks = []
        for row in self.filling:
            size = min(row.target - row.computed, budget)
            budget -= size
            chunks.append((row, size))
            self.remember(row, row.computed + size)
        seats = min(knobs.max_num_seqs, limit or knobs.max_num_seqs)
        while not preempted and self.waiting and budget > 0:
            row = self.waiting[0]
            if len(self.decoding) + len(self.filling) >= seats or not self.fits(row):
                break
            self.waiting.pop(0)
            self.enter(row)
            self.filling.append(row)
            size = min(row.target - row.computed, budget)
            budget -= size
            chunks.append((row, size))
            self.remember(row, row.computed + size)
        self.together = max(self.together, len(self.decoding) + len(self.filling))
        self.peak = max(self.peak, self.used(ahead=1) if self.decoding else self.used())
        self.compute([(row, size) for row, size in chunks if size])

    def enter(self, row):
        hit = min(self.stored.get(row.request.prefix_id, 0), self.shareable(row)) * self.block
        row.computed = hit
        if not row.entered:
            self.hits += hit
        self.recomputed += max(row.was_computed - hit, 0)
        row.was_computed, row.entered = 0, True

    def remember(self, row, tokens):
        done = min(tokens // self.block, self.shareable(row))
        key = row.request.prefix_id
        self.stored[key] = max(self.stored.get(key, 0), done)

    def preempt(self, row):
        (self.decoding if row in self.decoding else self.filling).remove(row)
        row.was_computed = max(row.was_computed, row.computed)
        row.computed = 0
        row.target = row.request.prompt_tokens + len(row.tokens_s)
        self.preemptions += 1
        self.waiting.insert(0, row)

    def compute(self, chunks):
        load = StepLoad(
            prefill_tokens=sum(size for _, size in chunks),
            prefill_pairs=sum(row.computed + i + 1 for row, size in chunks for i in range(size)),
            prefill_seqs=len(chunks),
            decode_seqs=len(self.decoding),
            decode_context_tokens=sum(row.computed for row in self.decoding),
        )
        if not load.rows:
            return
        seconds = self.scenario.step_time.seconds(load)
        self.now += seconds
        self.busy_s += seconds
        self.steps += 1
        for row in self.decoding:
            row.computed += 1
            row.tokens_s.append(self.now)
        for row, size in chunks:
            row.computed += size
            if row.computed == row.target:
                self.filling.remove(row)
                self.decoding.append(row)
                row.tokens_s.append(self.now)
        self.ended += [row for row in self.decoding if not row.missing]
        self.decoding = [row for row in self.decoding if row.missing]


EITHER = st.booleans()


@st.composite
def scenarios(draw, *, caching=EITHER):
    layout = draw(st.sampled_from(KvLayout))
    closed = draw(st.booleans())
    arrivals = st.floats(0, 0.05, allow_subnormal=False)
    requests = [
        Request(
            prompt_tokens=draw(st.integers(1, 24)),
            output_tokens=draw(st.integers(1, 16)),
            arrival_s=draw(arrivals),
            prefix_id=draw(st.sampled_from([None, 0, 1])),
            prefix_tokens=10,
        )
        for _ in range(draw(st.integers(1, 12)))
    ]
    requests.sort(key=lambda request: request.arrival_s)
    with_caching = draw(caching) and layout is KvLayout.PAGED
    # ample memory where prefixes are cached: the plain loop above never evicts one
    budget = draw(st.integers(400, 600)) if with_caching else draw(st.integers(40, 160))
    knobs = Knobs(
        batching=Batching.CONTINUOUS,
        max_num_seqs=draw(st.integers(1, 6)),
        kv_layout=layout,
        kv_budget_tokens=budget,
        kv_block_tokens=draw(st.sampled_from([1, 3, 4])),
        max_num_batched_tokens=draw(st.none() | st.integers(4, 40)),
        prefix_caching=with_caching,
        max_model_len=40,
    )
    traffic = Traffic(
        source="drawn",
        requests=tuple(requests),
        concurrency=draw(st.integers(1, 8)) if closed else None,
    )
    return Scenario(
        shape=SHAPE,
        step_time=STEP_TIME,
        knobs=knobs,
        traffic=traffic,
        prices=Prices(usd_per_device_h=1.0),
    )


@settings(max_examples=150, deadline=None)
@given(scenarios())
def test_closed_form_equals_the_plain_loop(scenario):
    plain, outcome = Plain(scenario).run(), simulate(scenario)
    rows = sorted(plain.ended, key=lambda row: row.order)
    near = {"rel": 1e-9, "abs": 1e-12}
    assert outcome.ttft_s == pytest.approx([r.tokens_s[0] - r.arrival_s for r in rows], **near)
    several = [r for r in rows if len(r.tokens_s) > 1]
    tpot = [(r.tokens_s[-1] - r.tokens_s[0]) / (len(r.tokens_s) - 1) for r in several]
    assert outcome.tpot_s == pytest.approx(tpot, **near)
    assert outcome.busy_s == pytest.approx(plain.busy_s, **near)
    assert outcome.demand_idle_s == pytest.approx(plain.idle_s, **near)
    assert outcome.steps == plain.steps
    assert outcome.output_tokens == sum(len(r.tokens_s) for r in rows)
    assert outcome.kv.preemptions == plain.preemptions
    assert outcome.kv.recomputed_tokens == plain.recomputed
    assert outcome.kv.max_concurrency == plain.together
    prompts = scenario.traffic.prompt_tokens
    assert outcome.kv.prefix_hit_share == pytest.approx(plain.hits / prompts)
    used = plain.peak * plain.block / scenario.knobs.kv_budget_tokens
    assert outcome.kv.usage_peak_share == pytest.approx(used, **near)


def test_the_drawn_scenarios_do_preempt():
    knobs = Knobs(
        batching=Batching.CONTINUOUS,
        max_num_seqs=4,
        kv_layout=KvLayout.PAGED,
        kv_budget_tokens=48,
        kv_block_tokens=4,
    )
    requests = tuple(Request(prompt_tokens=10, output_tokens=16) for _ in range(6))
    traffic = Traffic(source="drawn", requests=requests, concurrency=4)
    scenario = Scenario(
        shape=SHAPE,
        step_time=STEP_TIME,
        knobs=knobs,
        traffic=traffic,
        prices=Prices(usd_per_device_h=None),
    )
    plain, outcome = Plain(scenario).run(), simulate(scenario)
    assert outcome.kv.preemptions == plain.preemptions > 0
    assert outcome.kv.recomputed_tokens == plain.recomputed > 0
    assert outcome.busy_s == pytest.approx(plain.busy_s, rel=1e-9)
