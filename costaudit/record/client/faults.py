"""What went wrong, in one sentence that a person can act on and that holds no secret."""

from __future__ import annotations

import errno
import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from costaudit.record.dialects.dialect import Framing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.record.client.exchange import Exchange
    from costaudit.record.client.http1 import Head
    from costaudit.record.dialects.dialect import Dialect

SENTENCE_CHARS = 300
_MASK = "…"
_MIN_SECRET_CHARS = 4
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202f\u2066-\u2069]+")
# Keys as the large vendors shape them, should a server repeat one that we did not send.
_KEY = re.compile(r"(?i)\b(?:sk|hf|pk|api|key)[-_][\w-]{12,}|(?<=bearer )\S+")
_NO_TLS = ("wrong version number", "record layer failure", "http request")
_REFUSED = {
    errno.ECONNREFUSED: "refused the connection: nothing listens there",
    errno.ECONNRESET: "reset the connection",
    errno.EPIPE: "closed the connection",
    errno.ETIMEDOUT: "did not answer the attempt to connect",
    errno.EHOSTUNREACH: "cannot be reached: no route to the host",
    errno.ENETUNREACH: "cannot be reached: no route to its network",
    errno.EMFILE: "could not be connected to: this process has too many files open",
}


class Http2OnlyError(Exception):
    """The server refused HTTP/1.1 in the TLS handshake; nothing was sent."""


def check_http1(error: OSError) -> None:
    """Of a connection that could not be made.

    Raises:
        Http2OnlyError: the other side would speak another protocol only.
    """
    if "no application protocol" in str(error).lower().replace("_", " "):
        raise Http2OnlyError


def secrets_of(headers: Mapping[str, str]) -> frozenset[str]:
    """What may never be shown: the values of these headers, and their parts."""
    words = {word for value in headers.values() for word in (value, *value.split())}
    return frozenset(word for word in words if len(word) >= _MIN_SECRET_CHARS)


def clean(text: str, secrets: frozenset[str]) -> str:
    """One line, bounded, printable, with every secret masked."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, _MASK)
    text = " ".join(_UNSEEN.sub(" ", _KEY.sub(_MASK, text)).split())
    return text if len(text) <= SENTENCE_CHARS else text[: SENTENCE_CHARS - 1] + _MASK


def of_connection(error: OSError, place: str) -> str:
    """Why a connection to `place` (host and port) was not made, or was lost."""
    if isinstance(error, socket.gaierror):
        return f"the host of {place} is not known: {(error.strerror or '').lower()}"
    if isinstance(error, TimeoutError):
        return f"{place} did not answer the attempt to connect"
    known = _REFUSED.get(error.errno or 0)
    if known and type(error).__module__ != "ssl":
        return f"{place} {known}"
    return _of_tls(error, place) or f"{place}: {error.strerror or error}"


def _of_tls(error: OSError, place: str) -> str:
    """The sentence for an error of TLS; "" where it is none."""
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {place} is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        said = str(error).lower().replace("_", " ")
        if any(words in said for words in _NO_TLS):
            return f"{place} does not speak TLS; is it http:// instead of https://?"
        why = "the connection was closed" if isinstance(error, ssl.SSLEOFError) else said
        return f"TLS with {place} failed: {why}"
    return ""


def of_answer(exchange: Exchange, dialect: Dialect, place: str) -> str:
    """Why an answer that came is no good; "" where it is."""
    head, said = exchange.head, exchange.transcript
    if said.error:
        return said.error
    if head is None:
        return exchange.cut or f"{place} closed the connection without an answer"
    if head.status != 200 or not exchange.cut:  # noqa: PLR2004 - a failure's status says more
        problem = _of_head(exchange, head, dialect)
        whole = problem or said.whole(ended=exchange.framer.done)
        return problem if whole else "the stream ended before its terminator"
    return "" if said.done else exchange.cut


def _of_head(exchange: Exchange, head: Head, dialect: Dialect) -> str:
    status = head.status
    if 300 <= status < 400:  # noqa: PLR2004
        target = urlsplit(head.headers.get("location", ""))
        whither = (
            f"{target.scheme}://{target.netloc}" if target.netloc else target.path or "nowhere"
        )
        return f"HTTP {status}: redirected to {whither}; redirects are not followed, give that URL"
    if status != 200:  # noqa: PLR2004
        return f"HTTP {status}: {_told(exchange.body) or 'no reason given'}"
    misfit = exchange.misfit(head)
    if misfit == "text/html":
        return "the answer is an HTML page, not a stream: the URL is not that of a model server"
    if misfit:
        wanted = "a stream of events" if dialect.framing is Framing.SSE else "lines of JSON"
        told = _told(exchange.body) if misfit == "application/json" else ""
        return told or f"the answer is {misfit}, not {wanted}"
    return ""


def _told(body: bytes) -> str:
    """The server's own sentence in the body of an error, without what it repeats of the request."""
    import msgspec

    from costaudit.record.dialects.reading.events import sentence

    try:
        return sentence(msgspec.json.decode(body))
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else text
