"""Work in another process, and what becomes of it where that process dies or there is none."""

from __future__ import annotations

import os
import signal

import pytest

from costaudit.ground.beside import Begun, beside
from costaudit.ground.errors import UsageError

HERE = os.getpid()


def whose():
    return os.getpid()


def dies():
    if os.getpid() != HERE:
        os.kill(os.getpid(), signal.SIGKILL)
    return "done here"


def complains():
    raise UsageError("not so", hint="like this")


def test_the_other_process_does_the_work_in_order():
    with beside() as other:
        first, second = Begun(other, whose), Begun(other, whose)
        assert first.result() == second.result() != HERE
        assert not first.is_running()


def test_without_another_process_this_one_does_it():
    alone = Begun(None, whose)
    assert not alone.is_running()
    assert alone.result() == HERE


def test_what_a_dead_process_left_undone_this_one_does():
    with beside() as other:
        killed, waiting = Begun(other, dies), Begun(other, whose)
        assert killed.result() == "done here"
        assert waiting.result() == HERE
        assert Begun(other, whose).result() == HERE  # nothing can be begun there any more


def test_an_error_keeps_its_hint_on_the_way():
    with beside() as other:
        begun = Begun(other, complains)
        with pytest.raises(UsageError) as raised:
            begun.result()
    assert (raised.value.message, raised.value.hint) == ("not so", "like this")


def test_where_no_process_can_be_begun_there_is_none(monkeypatch):
    def refused(*_, **__):
        raise OSError("no semaphores")

    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", refused)
    with beside() as other:
        assert other is None
