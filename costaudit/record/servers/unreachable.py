"""Why a server could not be asked, in one sentence with a hint."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from costaudit.ground.errors import CostauditError, TargetError, UsageError

if TYPE_CHECKING:
    import ssl

USUAL_PORTS = (
    "usual ports: 8000 vLLM, trtllm-serve, transformers, Triton, Dynamo; 30000 SGLang; 8080 TGI, "
    "llama.cpp; 23333 LMDeploy; 11434 Ollama; 4000 LiteLLM"
)
_SLOW = "is it still loading its model, or is a firewall in between?"
_OTHER = (
    "try https:// for http:// (or the reverse); of Triton's ports 8000 speaks HTTP and 8001 gRPC"
)
API_KEY_HINT = "put the key into the environment variable COSTAUDIT_API_KEY"


def unreachable(url: str, problem: Exception, timeout_s: float) -> CostauditError:
    """The error for a request that got no HTTP answer."""
    import ssl  # both are loaded for failures alone: most servers answer
    from http.client import HTTPException

    reason = getattr(problem, "reason", None)
    cause = reason if isinstance(reason, Exception) else problem
    where = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    if isinstance(cause, ssl.SSLError):
        return _tls(where, cause)
    for kinds, said, hint in (
        (ConnectionRefusedError, "nothing listens at {where}", f"is the server up? {USUAL_PORTS}"),
        (socket.gaierror, "the host of {where} is not known", "check the spelling"),
        (TimeoutError, "{where} did not answer within {timeout_s:g} s", _SLOW),
        ((ConnectionError, HTTPException), "{where} does not speak HTTP ({kind})", _OTHER),
        (ValueError, "{where} is no address: {cause}", "like http://host:8000"),
    ):
        if isinstance(cause, kinds):
            words = " ".join(str(cause).split())[:200]
            kind = type(cause).__name__
            sentence = said.format(where=where, timeout_s=timeout_s, kind=kind, cause=words)
            return (UsageError if kinds is ValueError else TargetError)(sentence, hint=hint)
    return TargetError(f"{where} cannot be reached: {cause}"[:300], hint=USUAL_PORTS)


def _tls(where: str, cause: ssl.SSLError) -> TargetError:
    import ssl

    if isinstance(cause, ssl.SSLCertVerificationError):
        return TargetError(
            f"the certificate of {where} is not trusted: {cause.verify_message}",
            hint="name its authority in SSL_CERT_FILE, or do without the check by --insecure",
        )
    return TargetError(
        f"{where} does not speak TLS as expected: {cause.reason or cause}",
        hint="try http:// for https://",
    )
