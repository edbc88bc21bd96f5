"""What is compiled does the same as what stands in Python, on whatever comes."""

from __future__ import annotations

import errno
import select
import socket
import struct
from array import array
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.record.client import bodies, inbox, poller, wire

CHUNKED = b"HTTP/1.1 200 OK\r\nServer: any\r\ntransfer-encoding: chunked\r\n\r\n"
BEGUN = CHUNKED + b"5\r\nhello\r\n"
ROADS = [pytest.param(False, id="python"), pytest.param(True, id="compiled")]


@pytest.fixture(params=ROADS)
def room(request):
    """Where `Inbox` and `Poller` are."""
    if request.param:
        return native()
    return SimpleNamespace(Inbox=inbox.Inbox, Poller=poller.Poller)


def native():
    if not wire.COMPILED:
        pytest.skip("the client's C was not compiled: no C compiler at installation")
    from costaudit.record.client import _native

    return _native


@pytest.mark.parametrize(
    ("raw", "looks"),
    [
        (BEGUN, False),  # its end will show
        (BEGUN + b"0\r\n\r\n", True),
        (CHUNKED[:-2], True),
        (CHUNKED.replace(b"200 OK", b"503 No"), True),
        (CHUNKED.replace(b"transfer", b"Transfer") + b"5\r\nhello\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n\r\nTransfer-Encoding: chunked", True),
    ],
)
def test_a_head_waits_where_the_end_will_show(room, raw, looks):
    box = room.Inbox(1 << 20)
    assert box.take(raw, b"", 1) is looks
    assert box.look is looks or raw.endswith(b"0\r\n\r\n")
    assert (box.received, box.waiting, box.last_ns) == (len(raw), 1, 1)


stamps = st.one_of(st.just(b""), st.tuples(st.integers(0, 2**33), st.integers(0, 10**9 - 1)))
taken = st.tuples(
    st.one_of(
        st.binary(max_size=9),
        st.sampled_from([CHUNKED, CHUNKED.upper(), b"HTTP/1.1 200", b"\r\n\r\n", b"0\r\n\r\n"]),
    ),
    stamps,
    st.integers(0, 2**62),
)
marked = st.tuples(st.integers(0, 2**20), st.integers(0, 2**62))
steps = st.lists(
    st.one_of(taken, marked, st.sampled_from(["text", "look"]), st.integers(0, 2**62)), max_size=40
)


@given(steps, st.integers(0, 200))
def test_inboxes_agree(order, alert_bytes):
    both = inbox.Inbox(alert_bytes), native().Inbox(alert_bytes)
    for step in order:
        told = [_done(box, step) for box in both]
        assert told[0] == told[1]
        ours, theirs = ((b.look, b.received, b.waiting, b.last_ns) for b in both)
        assert ours == theirs


def _done(box, step):
    if step == "text":
        return box.text()
    if isinstance(step, int):
        return box.reads(step)
    if step == "look":
        box.look, box.alert_bytes = not box.look, box.received + 50
        return None
    if len(step) == 2:
        return box.mark(*step)
    data, stamp, user = step
    return box.take(data, struct.pack("=2q", *stamp) if stamp else b"", user)


def test_many_reads_are_worth_a_look(room):
    box = room.Inbox(1 << 20)
    assert box.take(BEGUN, b"", 1) is False
    looks = [box.take(b"1\r\na\r\n", b"", 1) for _ in range(inbox.LONG_READS)]
    assert looks == [False] * (inbox.LONG_READS - 1) + [True]


def test_times_beyond_a_uint32_stay_at_its_end(room):
    box = room.Inbox(9)
    box.mark(1, 10**14)
    box.mark(1, 10**12)
    assert box.reads(10**13) == ([1, 2], [2**32 - 1, 0], [])


coded = st.lists(
    st.one_of(
        st.binary(max_size=300).map(lambda b: b"%x\r\n%b\r\n" % (len(b), b)),
        st.binary(max_size=9),
        st.sampled_from(
            [b"0\r\n\r\n", b"5;x=1\r\nhello\r\n", b"5\r\nhelloo\r\n", b"fffffffff\r\n"]
        ),
    ),
    max_size=30,
)


@given(coded, st.integers(0, 20), st.booleans())
def test_chunks_are_whole_ones_in_their_order(parts, place, many):
    """Python takes many at once or none; what is taken is the same, and each as it stands there."""
    data = b"".join(parts) * (20 if many else 1)
    place = min(place, len(data))
    found = [_chunks(room, data, place, ()) for room in (bodies, native())]
    (plain, plain_ends, plain_place), (pieces, ends, after) = found
    assert pieces[: len(plain)] == plain
    assert ends[: len(plain)] == plain_ends
    assert plain_place <= after
    for piece, end in zip(pieces, ends, strict=True):
        assert piece
        assert data[end - 7 - len(piece) : end - 7] == piece
        assert data[end - 7 : end - 5] == b"\r\n"


def _chunks(room, data, place, names):
    parts = bodies.Parts()
    after, *told = room.whole_chunks(data, place, 7, names)
    parts.add_all(*told)
    assert sum(parts.counts) == len(parts.ends)
    return parts.pieces if names else parts.every(), [*parts.ends], after


ODD = [b"", b"\\n", b"\\\\n", b"\\", b'a"b', b"\xc3", b"\xed\xa0\x80", b"\n"]
texts = st.one_of(st.text(min_size=1, max_size=6).map(str.encode), st.sampled_from(ODD))
forms = st.sampled_from(
    [
        b'data: {"text":"%b"}\n\n',
        b'data: {"text": "%b","x":"text"}\n\n',
        b'data: {"other":"%b"}\n\n',
        b'data: {"t":"\\"text":"%b"}\n\n',
        b'data:{"text":"%b"}\n\n',
        b'data: {"text":%b}\n\n',
        b'data: {"text":"%b"}\n',
        b"data: [DONE]%b\n\n",
    ]
)
rows = st.lists(
    st.tuples(st.one_of(st.just(b'data: {"text":"%b"}\n\n'), forms), texts), max_size=20
)


@given(rows)
def test_rows_of_a_text_are_the_same(row):
    pieces = [form % text for form, text in row]
    end = b"%x\r\n%b\r\n" % (bodies.MANY_BYTES, b"x" * bodies.MANY_BYTES)  # enough for Python
    data = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end
    for names in ((b"text",), (b"reasoning", b"text", b"x")):
        compiled = _chunks(native(), data, 0, names)
        python = _chunks(bodies, data, 0, names)
        assert python in (compiled, ([], [], 0))  # a line end within a chunk is left to others


@given(st.data())
def test_stamps_are_the_same(data):
    ends = sorted(data.draw(st.lists(st.integers(0, 50), min_size=1, max_size=12)))
    times = [data.draw(st.integers(0, 2**32 - 1)) for _ in ends]
    offsets = sorted(data.draw(st.lists(st.integers(0, ends[-1]), min_size=1, max_size=12)))
    told = bodies.stamped(array("q", offsets), ends, times)
    assert native().stamped(array("q", offsets), ends, times) == told
    for room in (bodies, native()):
        with pytest.raises(IndexError):
            room.stamped(array("q", [ends[-1] + 1]), ends, times)


def test_a_poller_receives_for_those_it_is_armed_for(room):
    a, b = socket.socketpair()
    a.setblocking(False)
    watch, owner, box = room.Poller(), object(), room.Inbox(1 << 20)
    watch.watch(a, select.EPOLLIN, owner)
    assert watch.poll(100_000) == []
    b.send(BEGUN)
    assert watch.poll(0) == [(owner, select.EPOLLIN)]  # nobody took it yet
    watch.arm(a, box)
    assert watch.poll(0) == []  # its end will show
    b.send(b"0\r\n\r\n")
    assert watch.poll(10**9) == [(owner, poller.TOOK)]
    assert box.text() == BEGUN + b"0\r\n\r\n"
    b.shutdown(socket.SHUT_WR)
    assert watch.poll(10**9) == [(owner, poller.CLOSED)]
    watch.arm(a, None)
    assert watch.poll(0) == [(owner, select.EPOLLIN)]
    watch.watch(a, select.EPOLLIN | select.EPOLLOUT, owner)
    assert watch.poll(0) == [(owner, select.EPOLLIN | select.EPOLLOUT)]
    watch.forget(a.fileno())
    a.close()
    assert watch.poll(0) == []
    watch.forget(-1)
    watch.close()
    b.close()


def test_a_reset_is_told_by_its_number(room):
    with socket.create_server(("127.0.0.1", 0)) as door:
        near = socket.create_connection(door.getsockname())
        far, _ = door.accept()
        near.setblocking(False)
        watch, owner = room.Poller(), object()
        watch.watch(near, select.EPOLLIN, owner)
        watch.arm(near, room.Inbox(9))
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()
        ((told, why),) = watch.poll(10**9)
        assert told is owner
        assert why in {-errno.ECONNRESET, select.EPOLLIN | select.EPOLLERR | select.EPOLLHUP}
        watch.close()
        near.close()


def test_a_poller_waits_as_long_as_it_is_told(room):
    import time

    watch = room.Poller()
    for wanted_ns in (300_000, 1_500_000, 7_300_000):
        began = time.monotonic_ns()
        while time.monotonic_ns() < began + wanted_ns:
            watch.poll(began + wanted_ns - time.monotonic_ns())
        assert time.monotonic_ns() - began < wanted_ns + 50_000_000
    watch.close()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda n: n.Inbox(),
        lambda n: n.Inbox(9).take("text", b"", 1),
        lambda n: n.Inbox(9).take(b"", b""),
        lambda n: n.Inbox(9).mark("x", 1),
        lambda n: n.Poller().watch(3.5, 1, None),
        lambda n: n.Poller().arm(socket.socket(), None),
        lambda n: n.Poller().poll("soon"),
        lambda n: n.whole_chunks(b"", 9, 0, ()),
        lambda n: n.whole_chunks("", 0, 0, ()),
        lambda n: n.whole_chunks(b"", 0, 0, []),
        lambda n: n.whole_chunks(b"9\r\ndata: 1\n\n\r\n", 0, 0, ("text",)),
        lambda n: n.stamped(array("q"), [1], [1]),
        lambda n: n.stamped(array("i", [1, 2]), [1], [1]),
        lambda n: n.stamped(array("d", [1]), [1], [1]),
        lambda n: n.stamped([1], [1], [1]),
        lambda n: n.stamped(array("q", [1]), [1], []),
        lambda n: n.stamped(array("q", [1]), ["x"], [1]),
        lambda n: n.stamped(array("q", [1]), [1], [-1]),
    ],
)
def test_what_makes_no_sense_is_an_exception(wrong):
    with pytest.raises((TypeError, ValueError, OverflowError)):
        wrong(native())
