"""How long the server's front end takes to answer a question that generates nothing.

A server's own TTFT begins when its front end has read and checked a request, and ends before that
has written the first token out: what lies outside is the front end's, and this is its measure.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from costaudit.ground.errors import CostauditError
from costaudit.ground.stats import median
from costaudit.record.servers import paths
from costaudit.record.servers.fetch import fetch
from costaudit.recording.rows import Fact

if TYPE_CHECKING:
    from costaudit.record.probing.probing import Probing

QUESTIONS = 7
_PLAIN = {"triton": paths.TRITON, "ollama": paths.OLLAMA_VERSION}
WAIT_S = 2.0


def front_end(probing: Probing) -> Fact | None:
    """The median over a few questions, connecting included; None where it does not answer."""
    found = probing.found
    path = _PLAIN.get(found.target.engine, paths.MODELS).path
    took_s = []
    for _ in range(QUESTIONS):
        began_s = time.monotonic()
        try:
            reply = fetch(
                found.endpoint.base_url + path,
                headers=found.endpoint.headers,
                verify_tls=found.endpoint.verify_tls,
                timeout_s=WAIT_S,
            )
        except CostauditError:
            return None
        if not reply.ok:
            return None
        took_s.append(time.monotonic() - began_s)
    return Fact(
        subject="server",
        name="front_end_s",
        value=median(took_s),
        unit="s",
        why=f"median of {QUESTIONS} times GET {path}",
    )
