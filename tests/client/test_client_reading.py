"""Taking answers apart: any cut of the bytes gives the same, and shortcuts change nothing."""

from __future__ import annotations

import json
import random
from itertools import accumulate

import pytest
from fault_server import DONE, STREAM, USAGE, WHOLE, chunked, head, token
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_dialect import TinyChat

from costaudit.record.client.bodies import Parts
from costaudit.record.client.framing import Splitter, payload
from costaudit.record.client.http1 import Framer, HttpFault
from costaudit.record.client.transcript import Transcript
from costaudit.record.dialects.dialect import Framing
from costaudit.record.dialects.ollama_generate import OllamaGenerate
from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.dialects.openai_completions import OpenAICompletions
from costaudit.record.dialects.tgi_generate import TGIGenerate

BODY = b"".join(WHOLE)
CODINGS = (
    STREAM + chunked(*WHOLE),
    STREAM + chunked(BODY),
    STREAM + chunked(*[BODY[k : k + 11] for k in range(0, len(BODY), 11)]),
    head(Content_Length=len(BODY)) + BODY,
)


def cuts(data, places):
    at = sorted({min(place, len(data)) for place in places})
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True) if a != b]


@given(st.sampled_from(CODINGS), st.lists(st.integers(0, 900), max_size=40))
def test_any_cut_gives_the_same_body_and_the_same_ends(raw, places):
    framer = Framer()
    for piece in cuts(raw, places):
        framer.feed(piece)
    assert framer.done
    assert b"".join(framer.parts.pieces) == BODY
    for piece, end in zip(framer.parts.pieces, framer.parts.ends, strict=True):
        assert raw[end - len(piece) : end] == piece


def test_many_chunks_at_once_are_as_one_by_one():
    events = [token(str(k)) for k in range(50)]
    raw = STREAM + chunked(*events, DONE)
    at_once, one_by_one = Framer(), Framer()
    at_once.feed(raw)
    for start in range(0, len(raw), 300):
        one_by_one.feed(raw[start : start + 300])
    assert at_once.done
    assert one_by_one.done
    assert at_once.parts.pieces == [*events, DONE]
    assert b"".join(at_once.parts.pieces) == b"".join(one_by_one.parts.pieces)
    assert [raw[end - 2 : end] for end in at_once.parts.ends] == [b"\n\n"] * 51


def test_chunks_with_line_ends_inside_are_not_split():
    pieces = [b"data: x\r\n\r\n" * 40] * 60
    framer = Framer()
    framer.feed(STREAM + chunked(*pieces))
    assert framer.parts.pieces == pieces


@given(st.binary(max_size=300))
def test_rubbish_is_a_fault_or_waits_never_another_exception(rubbish):
    framer = Framer()
    try:
        framer.feed(STREAM + rubbish)
    except HttpFault:
        return
    assert len(b"".join(framer.parts.pieces)) <= len(rubbish)


@given(st.lists(st.integers(1, 900), max_size=30))
def test_blocks_do_not_depend_on_the_cut(places):
    body = b": hi\n\n" + BODY.replace(b"\n\n", b"\r\n\r\n") + BODY
    pieces = cuts(body, places)
    ends = [sum(map(len, pieces[: k + 1])) for k in range(len(pieces))]
    splitter = Splitter(Framing.SSE)
    said = [payload(block, Framing.SSE) for block, _ in splitter.blocks(pieces, ends)]
    whole = [event[6:-2] for event in WHOLE]
    assert [each for each in said if each] == whole * 2
    assert splitter.empty


def test_ndjson_is_a_line_each():
    splitter = Splitter(Framing.NDJSON)
    lines = [b'{"a": 1}', b'{"a": 2}\r', b"", b'{"a": 3}']
    body = b"\n".join(lines) + b"\n"
    said = [payload(block, Framing.NDJSON) for block, _ in splitter.blocks([body], [len(body)])]
    assert said == [b'{"a": 1}', b'{"a": 2}', b"", b'{"a": 3}']


def event(text, **more):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None} | more
    said = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}
    return json.dumps(said).encode()


TEXTS = st.text(max_size=8)
USAGES = st.integers(0, 99).map(
    lambda n: event("x")[:-1] + b', "usage": {"completion_tokens": %d}}' % n
)


@given(
    st.sampled_from([OpenAIChat(), OpenAICompletions(), OllamaGenerate(), TGIGenerate()]),
    st.lists(
        st.one_of(
            TEXTS.map(event),
            USAGES,
            st.just(event("", finish_reason="stop")),
            st.integers(0, 99).map(lambda n: event("x", token_ids=[n])),
            TEXTS.map(lambda t: event("x", delta={"role": t, "content": ""})),
            TEXTS.map(lambda t: b'{"error": {"message": ' + json.dumps(t).encode() + b"}}"),
            TEXTS.map(lambda t: b'{"response": ' + json.dumps(t).encode() + b"}"),
            st.just(b'{"choices":[],"usage":{"completion_tokens":7,"prompt_tokens":2}}'),
            st.sampled_from([b"[DONE]", b"{}", b"{}{}", b"{}\n{}", b"{\n}", b"1", b"no", b" "]),
        ),
        max_size=12,
    ),
)
def test_events_read_together_say_what_each_says_alone(dialect, payloads):
    assert [*dialect.read_all(payloads)] == [*map(dialect.read, payloads)]


LINES = st.text(st.sampled_from("dat: {}x\n\r"), max_size=20).map(str.encode)


@given(
    st.lists(
        st.one_of(
            LINES,
            LINES.map(lambda line: b"data: %b\n\n" % line),
            st.sampled_from([b"data: 1\n\n", b"data:2\n\n", b": hi\n\n", b"data: 3\nid: 4\n\n"]),
        ),
        max_size=6,
    )
)
def test_whole_events_are_the_blocks_with_something_to_say(pieces):
    quick = Splitter(Framing.SSE).whole_events(pieces)
    if quick:
        blocks = Splitter(Framing.SSE).blocks(pieces, range(len(pieces)))
        assert [payload(block, Framing.SSE) for block, _ in blocks] == quick
        assert all(quick)


def test_an_event_in_a_piece_is_the_quick_case():
    pieces = [token(word) for word in (" a", r"\"b\"", r"\n", "\u00e9")] + [USAGE, DONE]
    said = Splitter(Framing.SSE).whole_events(pieces)
    assert said == [piece[6:-2] for piece in pieces]
    assert Splitter(Framing.SSE).whole_events([pieces[0][:9], pieces[0][9:]]) == []
    assert Splitter(Framing.NDJSON).whole_events(pieces) == []


def parts_of(pieces, ends=None):
    parts = Parts()
    for piece, end in zip(pieces, ends or accumulate(map(len, pieces)), strict=True):
        parts.add(piece, end)
    return parts


def read_all(pieces, dialect):
    transcript = Transcript(dialect)
    ends = [sum(map(len, pieces[: k + 1])) for k in range(len(pieces))]
    transcript.read(parts_of(pieces))
    transcript.stamp(ends, [10_000 * (k + 1) for k in range(len(ends))])
    return transcript


def test_an_event_has_the_time_of_the_read_that_completed_it():
    events = [token("a"), token("b"), token("c"), DONE]
    body = b"".join(events)
    middle = len(events[0]) + len(events[1]) - 1
    transcript = Transcript(TinyChat())
    pieces, ends = [body[:middle], body[middle:]], [middle, len(body)]
    transcript.read(parts_of(pieces))
    transcript.stamp(ends, [1_000, 5_000])
    assert [*transcript.event_us] == [1_000, 5_000, 5_000]
    assert transcript.shared == 1
    assert transcript.done


def test_reading_at_once_and_one_by_one_say_the_same():
    words = [random.Random(7).choice([" a", " bc", '\\"', "\\n", ""]) for _ in range(300)]
    pieces = [token(word) for word in words] + [token("z", '"length"'), USAGE, DONE]
    by_run = read_all(pieces, OpenAIChat())
    by_one = Transcript(OpenAIChat())
    for k, piece in enumerate(pieces):
        by_one.read(parts_of([piece]))
        by_one.stamp([len(piece)], [10_000 * (k + 1)])
    assert [*by_run.event_us] == [*by_one.event_us]
    assert [*by_run.event_tokens] == [*by_one.event_tokens]
    assert by_run.shared == 0


def plain(text, *, name=b"content", key=b"1", escape=json.dumps):
    said = text if isinstance(text, bytes) else escape(text).encode()
    return b'data: {"id":"%b","choices":[{"delta":{"%b":%b},"finish_reason":null}]}\n\n' % (
        key,
        name,
        said,
    )


def raw(text):
    return json.dumps(text, ensure_ascii=False)


def rows_of(dialect, pieces):
    """As they come from a framer: some of one row are one."""
    framer = Framer(dialect.texts)
    framer.feed(STREAM + chunked(*pieces).removesuffix(b"0\r\n\r\n"))
    return framer.parts


ODD = st.sampled_from(
    [
        plain(b'"\xff"'),
        plain(b'"a\x01b"'),
        plain(b'""'),
        plain(b"null"),
        plain(b'"a","role":"x"'),
        plain(b'"x"', name=b"reasoning_content"),
        plain(b'"x"', key=b'\\"content\\":'),
        plain(b'"x"}},"error":{"message":"content"}'),
        plain("x")[:-3] + b',"usage":{"completion_tokens":3}}\n\n',
        plain("x").replace(b"null", b'"length"'),
        plain("x")[:-2],
        plain("x") * 2,
        b": hi\n\n",
        b"data: " + plain("x"),
        b"\n\n",
        USAGE,
        DONE,
    ]
)
ALIKE = st.lists(st.text(min_size=1, max_size=4).map(lambda t: plain(t, escape=raw)), min_size=9)
ESCAPED = st.lists(st.text(max_size=3).map(plain), min_size=1, max_size=20)


@settings(deadline=None)
@given(
    st.lists(st.one_of(ALIKE, ESCAPED, ODD.map(lambda one: [one])), max_size=6),
    st.sampled_from([OpenAIChat(), OpenAICompletions()]),
)
def test_a_run_of_events_alike_says_what_each_of_them_says(groups, dialect):
    pieces = [piece for group in groups for piece in group]
    if isinstance(dialect, OpenAICompletions):
        pieces = [piece.replace(b"content", b"text") for piece in pieces]
    at_once, one_by_one = Transcript(dialect), Transcript(dialect)
    rows = rows_of(dialect, pieces)
    assert len(rows.every()) == len(pieces)
    at_once.read(rows)
    for piece, end in zip(pieces, rows.ends, strict=True):
        one_by_one.read(parts_of([piece], [end]))
    for name in ("done", "error", "finish_reason", "output_tokens", "event_tokens", "_offsets"):
        assert getattr(at_once, name) == getattr(one_by_one, name)


@pytest.mark.usefixtures("either_wire")
@pytest.mark.parametrize(
    ("was", "beside"),
    [
        (b"", b""),
        (b'"delta":{', b'"delta":{"role":"assistant",'),
        (b"null", b'"length"'),
        (b"}]}", b'}],"usage":{"completion_tokens":3,"prompt_tokens":5}}'),
        (b"}]}", b'}],"error":{"message":"out of memory"}}'),
        (b'"choices"', b'"choices":1,"choices"'),
    ],
)
def test_what_a_row_says_beside_its_text_is_what_each_of_it_says(was, beside):
    """Output that is counted as it runs, an end, an error: the first of them tells it for all."""
    words = [f"{k} word" for k in range(60)]
    pieces = [
        plain(word, escape=raw).replace(was, beside, 1) if was else plain(word) for word in words
    ]
    rows = rows_of(OpenAIChat(), pieces)
    assert rows.counts == [60]
    at_once, one_by_one = Transcript(OpenAIChat()), Transcript(OpenAIChat())
    at_once.read(rows)
    for piece, end in zip(pieces, rows.ends, strict=True):
        one_by_one.read(parts_of([piece], [end]))
    for name in ("done", "error", "finish_reason", "output_tokens", "event_tokens", "_offsets"):
        assert getattr(at_once, name) == getattr(one_by_one, name)


@pytest.mark.usefixtures("either_wire")
@pytest.mark.parametrize("words", [40, 90])
def test_a_run_does_not_begin_within_an_event(words):
    """What came before it has no end yet: together they are one event, which nobody can read."""
    pieces = [plain("a").removesuffix(b"\n\n"), *[plain("b", escape=raw)] * words]
    at_once, one_by_one = Transcript(OpenAIChat()), Transcript(OpenAIChat())
    at_once.read(rows := rows_of(OpenAIChat(), pieces))
    assert rows.counts == [1, words]
    for piece, end in zip(pieces, rows.ends, strict=True):
        one_by_one.read(parts_of([piece], [end]))
    assert "cannot be read" in at_once.error
    assert at_once.error == one_by_one.error
    assert at_once.event_tokens == one_by_one.event_tokens


@pytest.mark.usefixtures("either_wire")
def test_a_run_is_found_among_what_begins_and_ends_a_stream():
    role = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
    words = [plain(word, escape=raw) for word in (" a", "\n", "é", ' b"c"', *"defghijk")]
    row = [*words[:3], *words[4:]] * 4
    parts = rows_of(OpenAIChat(), [role, *row, USAGE, DONE])
    assert parts.pieces == [role, row[0], USAGE, DONE]
    assert parts.counts == [1, len(row), 1, 1]
    parts = rows_of(OpenAIChat(), [*words * 4, DONE])  # the fourth has escaped quotes
    few, more = words[:3], words[4:]
    assert parts.pieces == [words[0], words[3], *[more[0], words[3]] * 3, more[0], DONE]
    assert parts.counts == [3, 1, *[len(more + few), 1] * 3, len(more), 1]
