"""The scheduler once more, one step and one block at a time: slow, plain, and written apart.

Blocks are objects in a list of free ones, oldest first; what a block holds is its key. Every step
counts everything afresh.
"""

from __future__ import annotations

import math

from plain_rows import Block, Row

from costaudit.target.load import StepLoad
from costaudit.whatif.scenario import KvLayout


class Plain:
    def __init__(self, scenario):
        knobs = scenario.knobs
        self.scenario, self.knobs = scenario, knobs
        self.block = {
            KvLayout.PAGED: knobs.kv_block_tokens,
            KvLayout.STATIC: knobs.max_model_len,
            KvLayout.DYNAMIC: 1,
        }[knobs.kv_layout]
        self.total = knobs.kv_budget_tokens // self.block
        self.paged = knobs.kv_layout is KvLayout.PAGED
        self.caching = knobs.prefix_caching and self.paged
        self.width = 1 + (knobs.speculation.draft_tokens if knobs.speculation else 0)
        gain = knobs.speculation.tokens_per_step if knobs.speculation else 1.0
        self.gain = round(gain * 256) / 256
        self.limit = knobs.max_num_batched_tokens
        self.seats = knobs.max_num_seqs
        if self.limit is not None:
            self.seats = min(self.seats, self.limit // self.width)
        self.spare = int(knobs.kv_watermark_share * self.total) if self.paged else 0
        self.free = [Block() for _ in range(self.total)]
        self.cached = {}
        requests = scenario.traffic.requests
        self.coming = [Row(i, r, r.arrival_s, r.prompt_tokens) for i, r in enumerate(requests)]
        for row in self.coming:
            row.keys = self.shared_keys(row.request)
        self.waiting, self.inside, self.decoding, self.ended = [], [], [], []
        self.served = set()
        self.now = self.busy_s = self.idle_s = self.front_s = 0.0
        self.steps = self.preemptions = self.recomputed = self.together = self.peak = 0
        self.hits = self.duplicates = 0

    def shared_keys(self, request):
        size = self.knobs.kv_block_tokens
        most = (request.prompt_tokens - 1) // size
        grain = self.scenario.traffic.hash_block_tokens
        keys = []
        for end in range(size, most * size + 1, size):
            if request.block_hashes:
                unit, rest = divmod(end - 1, grain)
                if unit < len(request.block_hashes):
                    keys.append((request.block_hashes[unit], rest))
            elif request.prefix_id is not None and end <= request.prefix_tokens:
                keys.append((request.prefix_id, end))
        return keys

    # --- memory

    def take(self, row, count):
        for _ in range(count):
            block = self.free.pop(0)
            if self.cached.get(block.key) is block:
                del self.cached[block.key]
            block.key, block.users = None, 1
            row.blocks.append(block)
        self.peak = max(self.peak, self.total - len(self.free))

    def give_back(self, row):
        for block in reversed(row.blocks):
            block.users -= 1
            if not block.users:
                self.free.append(block)
        row.blocks = []

    def name(self, row, tokens):
        """Full blocks of what the coming step computes get their keys."""
        if not self.caching:
            return
        for i, block in enumerate(row.blocks[: tokens // self.block]):
            if block.key is None:
                key = row.keys[i] if i < len(row.keys) and not row.apart else None
                if key is not None and key in self.cached:
                    row.apart, key = True, None
                block.key = key if key is not None else ("own", row.order, i)
                self.cached[block.key] = block

    def found(self, row):
        if not self.caching:
            return []
        blocks, own = [], False
        for i in range((row.target - 1) // self.block):
            shared = self.cached.get(row.keys[i]) if i < len(row.keys) and not own else None
            if shared is None:
                own = True
                shared = self.cached.get(("own", row.order, i))
            if shared is None:
                break
            blocks.append(shared)
        return blocks

    def for_prompt(self, tokens):
        return math.floor((tokens + self.width - 1 + self.block - self.gain) / self.block)

    def for_round(self, row):
        cached = row.before + math.floor(row.rounds * self.gain)
        return math.ceil((cached + self.width) / self.block)

    def final(self, row):
        tokens = row.request.prompt_tokens + max(row.request.output_tokens, 1) - 1
        return tokens + self.width - 1

    # --- time

    def run(self):
        closed = self.scenario.traffic.concurrency
        # when each idle client sends its next request, and when the front end is done with it
        back = [self.through(0.0) for _ in range(closed or 0)]
        if not closed:
            back = [self.through(row.arrival_s) for row in self.coming]
        think_s = self.scenario.traffic.think_s
        while self.coming or self.waiting or self.inside:
            while self.coming and back and back[0][1] <= self.now:
                self.coming[0].arrival_s = back.pop(0)[0]
                self.waiting.append(self.coming.pop(0))
            if self.waiting or self.inside:
                before = len(self.ended)
                self.step()
                if closed:
                    back += [self.through(self.now + think_s) for _ in self.ended[before:]]
            else:
                until_s = back[0][1]
                self.idle_s += until_s - self.now
                self.now = until_s
        self.ended.sort(key=lambda row: row.order)
        return self

    def through(self, sent_s):
        self.front_s = max(self.front_s, sent_s) + self.scenario.step_time.front_s
        return sent_s, self.front_s

    def step(self):
        preempted = False
        while True:
            budget = 10**9 if self.limit is None else self.limit - self.width * len(self.decoding)
            filling = [row for row in self.inside if row not in self.decoding]
            chunks = [(row, min(row.target - row.before, budget)) for row in filling]
            needs = [(row, self.for_round(row) - len(row.blocks)) for row in self.decoding]
            needs += [(r, self.for_prompt(r.before + n) - len(r.blocks)) for r, n in chunks]
            if sum(max(need, 0) for _, need in needs) <= len(self.free):
                break
            preempted = True
            self.preempt(self.inside[-1])
        for row, need in needs:
            self.take(row, max(need, 0))
        for row, size in chunks:
            budget -= size
            self.name(row, row.before + size)
        for row in self.decoding:
            self.name(row, row.before + math.floor(row.rounds * self.gain))
        while not preempted and self.waiting and budget > 0 and len(self.inside) < self.seats:
            chunk = self.admit(self.waiting[0], budget)
            if not chunk:
                break
            chunks.append((self.waiting.pop(0), chunk))
            budget -= chunk
        self.together = max(self.together, len(self.inside))
        self.compute(chunks)

    def admit(self, row, budget):
        found = self.found(row)
        start = len(found) * self.block
        chunk = row.target - start
        if chunk > budget and not self.knobs.chunked_prefill:
            return 0
        chunk = min(chunk, budget)
        idle = sum(not block.users for block in found)
        spare = self.spare if self.inside else 0
        if self.for_prompt(row.target) - len(found) + idle + spare > len(self.free):
            return 0
        promised = sum(self.final(r) for r in [row, *self.inside])
        if self.knobs.kv_layout is KvLayout.DYNAMIC and promised > self.total:
            return 0
        self.hold(row, found)
        if not row.entered:
            before = 0
            while before < len(row.keys) and row.keys[before] in self.served:
                before += 1
            self.hits += start
            self.duplicates += before * self.knobs.kv_block_tokens - start
            self.served |= set(row.keys)
        self.recomputed += max(row.was_computed - start, 0)
        row.was_computed, row.entered, row.before, row.rounds = 0, True, start, 0
        self.take(row, self.for_prompt(start + chunk) - len(found))
        self.name(row, start + chunk)
        self.inside.append(row)
        return chunk

    def hold(self, row, found):
        """Found blocks are its own again; others it had left behind are blank and go first."""
        row.apart = any(block.key[0] == "own" for block in found)
        for block in found:
            if not block.users:
                self.free.remove(block)
            block.users += 1
        row.blocks = list(found)
        for block in [b for b in self.free if b.key and b.key[:2] == ("own", row.order)]:
            self.free.remove(block)
            self.cached.pop(block.key, None)
            block.key = None
            self.free.insert(0, block)

    def preempt(self, row):
        self.inside.remove(row)
        if row in self.decoding:
            self.decoding.remove(row)
            row.before += math.floor(row.rounds * self.gain)
        self.name(row, row.before)
        if self.caching:
            for block in row.blocks[row.before // self.block :]:
                block.key = ("own", row.order, "rest")
        self.give_back(row)
        row.was_computed = max(row.was_computed, row.before)
        row.before = row.rounds = 0
        row.target = row.request.prompt_tokens + row.emitted
        self.preemptions += 1
        self.waiting.insert(0, row)

    def seconds(self, load, prompts):
        model = self.scenario.step_time
        if self.width == 1:
            return model.seconds(load)
        rows, width = load.decode_seqs, self.width
        wide = StepLoad(
            prefill_tokens=load.prefill_tokens,
            prefill_pairs=load.prefill_pairs,
            prefill_seqs=load.prefill_seqs,
            decode_seqs=rows * width,
            decode_context_tokens=load.decode_context_tokens * width,
        )
        terms = dict(model.terms_s(wide))
        terms["kv"] /= width
        terms["sequences"] = model.coefficients["sequences"] * (rows + prompts)
        together = model.coefficients["together"] * (1 - 1 / max(rows + prompts, 1))
        terms["overhead"] = model.coefficients["overhead"] + together
        terms["sequences"] += model.coefficients["prompts"] * prompts
        plain = StepLoad(decode_seqs=rows, decode_context_tokens=load.decode_context_tokens)
        share = self.knobs.speculation.draft_cost_share * (width - 1)
        return sum(terms.values()) + (share * model.seconds(plain) if rows else 0.0)

    def compute(self, chunks):
        load = StepLoad(
            prefill_tokens=sum(size for _, size in chunks),
            prefill_pairs=sum(row.before + i + 1 for row, size in chunks for i in range(size)),
            prefill_seqs=len(chunks),
            decode_seqs=len(self.decoding),
            decode_context_tokens=sum(r.before + r.rounds * self.gain for r in self.decoding),
        )
        seconds = self.seconds(load, len(chunks))
        self.now += seconds
        self.busy_s += seconds
        self.steps += 1
        for row in tuple(self.decoding):
            row.rounds += 1
            first = row.target - row.request.prompt_tokens + 1  # emitted when it began to decode
            tokens = min(first + math.floor(row.rounds * self.gain), row.request.output_tokens)
            self.emit(row, tokens)
        for row, size in chunks:
            row.before += size
            if row.before == row.target:
                self.decoding.append(row)
                self.emit(row, row.emitted + 1)

    def emit(self, row, tokens):
        if row.emitted:
            row.gaps.append(self.now - row.times[-1])
        row.times += [self.now] * (tokens - row.emitted)
        row.emitted = tokens
        if tokens >= row.request.output_tokens:
            self.decoding.remove(row)
            self.inside.remove(row)
            self.ended.append(row)
            self.give_back(row)
