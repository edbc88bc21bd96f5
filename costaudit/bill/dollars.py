"""From device-seconds to dollars per million tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.ground.errors import InconclusiveError
from costaudit.whatif.simulate import simulate

if TYPE_CHECKING:
    from costaudit.whatif.outcome import Outcome
    from costaudit.whatif.scenario import Prices, Scenario

SECONDS_PER_H = 3600.0
TOKENS_PER_UNIT = 1e6  # prices are per million tokens


def rate_usd_per_device_h(prices: Prices) -> float | None:
    """The rate this scenario is billed at; None is unknown."""
    return prices.reserved_usd_per_device_h if prices.reserved else prices.usd_per_device_h


def paid_device_s(scenario: Scenario, outcome: Outcome) -> float:
    """Device-seconds that are paid for.

    On demand the capacity follows the demand: idle for lack of it is given back. Reserved
    capacity is paid for every second of the window, used or not.
    """
    paid_s = outcome.window_s
    if not scenario.prices.reserved:
        paid_s -= outcome.demand_idle_s
    return paid_s * scenario.devices


def device_s_per_1m(scenario: Scenario, outcome: Outcome | None = None) -> float:
    """Paid device-seconds per million tokens, prompt and output together.

    Args:
        scenario: what is served.
        outcome: what it comes to, where that is known already; else it is simulated.

    Raises:
        InconclusiveError: no tokens are served, or a request does not fit into the KV memory.
    """
    outcome = outcome or simulate(scenario)
    return per_1m(paid_device_s(scenario, outcome), outcome.prompt_tokens + outcome.output_tokens)


def usd_per_1m(scenario: Scenario, outcome: Outcome | None = None) -> float | None:
    """Dollars per million tokens; None where the rate is unknown (then compare device-seconds).

    Raises:
        InconclusiveError: no tokens are served, or a request does not fit into the KV memory.
    """
    rate = rate_usd_per_device_h(scenario.prices)
    return None if rate is None else device_s_per_1m(scenario, outcome) * rate / SECONDS_PER_H


def per_1m(amount: float, tokens: int) -> float:
    """An amount spread over tokens, per million of them.

    Raises:
        InconclusiveError: there are no tokens.
    """
    if tokens <= 0:
        raise InconclusiveError(
            "no tokens were served, so nothing can be said per token",
            hint="give a workload with at least one request",
        )
    return amount * TOKENS_PER_UNIT / tokens
