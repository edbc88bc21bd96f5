"""Where a server is, and the key to it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from costaudit.record.client.load import Endpoint

if TYPE_CHECKING:
    from costaudit.record.probing.options import ServerOptions

API_KEY = "COSTAUDIT_API_KEY"  # sent as a bearer token; never written anywhere


def endpoint_of(options: ServerOptions) -> Endpoint:
    """The server's address with the key from the environment, if there is one."""
    key = os.environ.get(API_KEY, "").strip()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return Endpoint(
        base_url=options.url.rstrip("/"), headers=headers, verify_tls=options.verify_tls
    )
