"""Which of the failures of a rung its error tells of."""

from dataclasses import dataclass

import pytest

from costaudit.record.probing.guard import Guard
from costaudit.record.probing.keeper import Keeper
from costaudit.record.probing.options import Limits


@dataclass
class Failed:
    """What an answer that failed is to the keeper."""

    error: str
    task: str = "t"
    ok: bool = False


TOLD, UNTOLD, CUT = "HTTP 401: Unauthorized", "HTTP 401: no reason given", "cut off: the time"


@pytest.mark.parametrize(
    ("errors", "told"),
    [([TOLD, UNTOLD, CUT], TOLD), ([UNTOLD, TOLD], TOLD), ([UNTOLD], UNTOLD), ([CUT], None)],
)
def test_the_words_of_one_rule_over_the_silence_of_others(errors, told):
    guard = Guard(limits=Limits(), waiting=lambda: None)
    keeper = Keeper(recording=None, guard=guard, streams=4, watch=lambda _: None)
    for error in errors:
        keeper(Failed(error=error))
    assert (keeper.failed.error if keeper.failed else None) == told
    assert guard.failed_in_a_row == sum(error != CUT for error in errors)
