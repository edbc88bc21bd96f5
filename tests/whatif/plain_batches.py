"""Static batching once more, one step at a time: slow, plain, and written apart."""

from __future__ import annotations

import math

from costaudit.target.load import StepLoad
from costaudit.whatif.scenario import KvLayout


class PlainBatches:
    def __init__(self, scenario):
        self.scenario, self.knobs = scenario, scenario.knobs
        self.requests = scenario.traffic.requests
        self.now = self.busy_s = self.queue_idle_s = self.demand_idle_s = 0.0
        self.steps = self.together = self.padded_rows = self.padded_tokens = 0
        count = len(self.requests)
        self.arrival_s = [request.arrival_s for request in self.requests]
        self.times = [[] for _ in range(count)]

    def run(self):
        count, closed = len(self.requests), self.scenario.traffic.concurrency
        there = min(closed, count) if closed else 0
        if closed:
            self.arrival_s = [0.0] * there + [math.inf] * (count - there)
        first = 0
        while first < count:
            self.gather(first)
            waiting = [i for i in range(first, count) if self.arrival_s[i] <= self.now]
            batch = self.fitting(waiting)
            self.serve(batch)
            first += len(batch)
            if closed:
                for i in range(there, min(there + len(batch), count)):
                    self.arrival_s[i] = self.now
                there = min(there + len(batch), count)
        return self

    def gather(self, first):
        start = max(self.now, self.arrival_s[first])
        self.demand_idle_s += start - self.now
        self.now = start
        later = [at for at in self.arrival_s[first:] if at < math.inf]
        full = self.knobs.max_num_seqs
        ready = later[full - 1] if len(later) >= full else math.inf
        patience = self.arrival_s[first] + self.knobs.batch_wait_s
        if ready == patience == math.inf:  # it will never be full: when the last one is there
            ready = later[-1]
        start = max(start, min(ready, patience))
        self.queue_idle_s += start - self.now
        self.now = start

    def fitting(self, waiting):
        batch = []
        for i in waiting[: self.knobs.max_num_seqs]:
            longer = [*batch, i]
            strange = self.requests[i].batch != self.requests[longer[0]].batch
            if batch and (strange or self.reserved(longer) > self.knobs.kv_budget_tokens):
                break
            batch = longer
        return batch

    def reserved(self, batch):
        rows = [self.requests[i] for i in batch]
        steps = max(max(row.output_tokens for row in rows) - 1, 0)
        match self.knobs.kv_layout:
            case KvLayout.DYNAMIC:
                return len(rows) * (max(row.prompt_tokens for row in rows) + steps)
            case KvLayout.STATIC:
                return len(rows) * self.knobs.max_model_len
            case KvLayout.PAGED:
                size = self.knobs.kv_block_tokens
                return sum(math.ceil((row.prompt_tokens + steps) / size) * size for row in rows)

    def serve(self, batch):
        rows, width = len(batch), max(self.requests[i].prompt_tokens for i in batch)
        self.together = max(self.together, rows)
        self.padded_tokens += sum(width - self.requests[i].prompt_tokens for i in batch)
        pairs = rows * width * (width + 1) // 2
        load = StepLoad(prefill_tokens=rows * width, prefill_pairs=pairs, prefill_seqs=rows)
        self.step(load, batch)
        for done in range(max(self.requests[i].output_tokens for i in batch) - 1):
            wanting = [i for i in batch if self.requests[i].output_tokens - 1 > done]
            self.padded_rows += rows - len(wanting)
            context = rows * (width + done)
            self.step(StepLoad(decode_seqs=rows, decode_context_tokens=context), wanting)

    def step(self, load, wanting):
        seconds = self.scenario.step_time.seconds(load)
        self.now += seconds
        self.busy_s += seconds
        self.steps += 1
        for i in wanting:
            self.times[i].append(self.now)
