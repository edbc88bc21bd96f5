"""The same decision as a mixed-integer programme, with all that couples one hour to another.

    min  Σ_k r_k·H·R_k + mean over scenarios of Σ_t [Σ_j c_j·h·y_tj + v_t·h·z_t + Σ_j s_j·u_tj]
    s.t. Σ_k R_k + Σ_j y_tj + z_t ≥ need_t            every window is served
         y_tj ≤ φ_j·N_t                               spot: a share of the fleet
         u_tj ≥ y_tj − y_(t−1)j                       started replicas, at s_j each
         ξ_s ≥ Bill_s − η,  ξ_s ≥ 0
         η + Σ ξ_s / ((1−a)·S) ≤ budget               CVaR of the bill (Rockafellar, Uryasev 2000)

R and y are whole, in servers. Without coupling it agrees with the rule in `reserve`, which is
what it is for: the rule is exact there and much faster; where hours are coupled this one decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import InconclusiveError, UsageError
from costaudit.pricing.risk import TAIL_SHARE, cvar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from costaudit.pricing.way import Committed, Hourly

_SOLVED, _TIMED_OUT = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One course of the demand: whole replicas, and what an API asks for one replica's window.

    `fluid` is what the replicas and the API together must carry where there is an API; without
    one the whole `replicas` are needed. `usd_per_replica_h` is v, window by window.
    """

    replicas: tuple[int, ...]
    fluid: tuple[float, ...] = ()
    token_usd_per_replica_h: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What may be bought for which demand.

    Attributes:
        window_h: hours of one window, the same everywhere.
        start_usd: what it costs to start one replica of an hourly way, by its id.
        server: replicas that are rented together.
        budget_usd: the most that the bill's CVaR may be; None: no limit.
    """

    scenarios: tuple[Scenario, ...]
    window_h: float = 1.0
    committed: tuple[Committed, ...] = ()
    hourly: tuple[Hourly, ...] = ()
    start_usd: Mapping[str, float] = field(default_factory=dict)
    server: int = 1
    budget_usd: float | None = None
    time_limit_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The cheapest plan: replicas committed by way, its mean bill and its CVaR."""

    units: Mapping[str, int]
    usd: float
    bills_usd: tuple[float, ...]
    cvar_usd: float
    gap_share: float  # how far from the proven optimum, at most


@dataclass(slots=True, kw_only=True)
class _Rows:
    """Constraints in coordinates: a_ij·x_j, with the bounds of each row."""

    at: list[tuple[int, int, float]] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)

    def add(self, terms: Sequence[tuple[int, float]], low: float, high: float) -> None:
        """One more constraint: low ≤ Σ value·x ≤ high."""
        self.at += [(len(self.low), column, value) for column, value in terms]
        self.low.append(low)
        self.high.append(high)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """Where each variable stands: R by way, then y, u and z by scenario and window, η and ξ."""

    problem: Problem
    windows: tuple[int, ...]

    @property
    def per_window(self) -> int:
        return 2 * len(self.problem.hourly) + 1

    def y(self, s: int, t: int, j: int) -> int:
        return self._window(s, t) + j

    def u(self, s: int, t: int, j: int) -> int:
        return self._window(s, t) + len(self.problem.hourly) + j

    def z(self, s: int, t: int) -> int:
        return self._window(s, t) + 2 * len(self.problem.hourly)

    @property
    def eta(self) -> int:
        return self._window(len(self.windows), 0)

    def xi(self, s: int) -> int:
        return self.eta + 1 + s

    @property
    def count(self) -> int:
        return self.eta + 1 + len(self.windows)

    def _window(self, s: int, t: int) -> int:
        done = sum(self.windows[:s]) + t
        return len(self.problem.committed) + done * self.per_window


def solve(problem: Problem) -> Solution:
    """The cheapest plan of the problem, by branch and bound (HiGHS through scipy).

    Raises:
        UsageError: nothing to buy, or no demand.
        InconclusiveError: the budget cannot be met, or no plan was found within the time limit.
    """
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array

    _check(problem)
    columns = _Columns(problem=problem, windows=tuple(len(s.replicas) for s in problem.scenarios))
    costs = np.zeros(columns.count)
    for s in range(len(problem.scenarios)):
        for column, usd in _bill(columns, s):
            costs[column] += usd / len(problem.scenarios)
    rows = _constraints(columns)
    i, j, value = (np.asarray(part) for part in zip(*rows.at, strict=True))
    found = milp(
        costs,
        integrality=_integrality(columns),
        bounds=Bounds(*_bounds(columns)),
        constraints=LinearConstraint(
            coo_array((value, (i, j)), shape=(len(rows.low), columns.count)).tocsr(),
            rows.low,
            rows.high,
        ),
        options={"time_limit": problem.time_limit_s, "mip_rel_gap": 1e-9},
    )
    return _solution(columns, found)


def _check(problem: Problem) -> None:
    if not problem.scenarios or not all(s.replicas for s in problem.scenarios):
        raise UsageError("no demand to plan for")
    serves = any(s.token_usd_per_replica_h for s in problem.scenarios)
    if not (problem.committed or problem.hourly or serves):
        raise UsageError("nothing to buy: no way to pay was given")


def _bill(columns: _Columns, s: int) -> Iterator[tuple[int, float]]:
    """(variable, dollars per unit of it) of one scenario's bill."""
    problem, scenario = columns.problem, columns.problem.scenarios[s]
    hours = problem.window_h * len(scenario.replicas)
    for k, way in enumerate(problem.committed):
        yield k, way.usd_per_replica_h * hours * problem.server
    for t in range(len(scenario.replicas)):
        for j, hourly in enumerate(problem.hourly):
            yield columns.y(s, t, j), hourly.usd_per_replica_h * problem.window_h * problem.server
            yield columns.u(s, t, j), problem.start_usd.get(hourly.id, 0.0) * problem.server
        if scenario.token_usd_per_replica_h:
            yield columns.z(s, t), scenario.token_usd_per_replica_h[t] * problem.window_h


def _constraints(columns: _Columns) -> _Rows:
    import math

    problem, rows = columns.problem, _Rows()
    server = float(problem.server)
    held = [(k, server) for k in range(len(problem.committed))]
    for s, scenario in enumerate(problem.scenarios):
        for t, replicas in enumerate(scenario.replicas):
            need = scenario.fluid[t] if scenario.token_usd_per_replica_h else float(replicas)
            ways = [(columns.y(s, t, j), server) for j in range(len(problem.hourly))]
            rows.add([*held, *ways, (columns.z(s, t), 1.0)], need, math.inf)
            for j, way in enumerate(problem.hourly):
                if problem.start_usd.get(way.id):
                    before = [(columns.y(s, t - 1, j), 1.0)] if t else []
                    terms = [(columns.u(s, t, j), 1.0), (columns.y(s, t, j), -1.0), *before]
                    rows.add(terms, 0.0, math.inf)
    if problem.budget_usd is not None:
        _tail(columns, rows, problem.budget_usd)
    return rows


def _tail(columns: _Columns, rows: _Rows, budget_usd: float) -> None:
    import math

    count = len(columns.windows)
    for s in range(count):
        bill = [(column, -usd) for column, usd in _bill(columns, s)]
        rows.add([*bill, (columns.eta, 1.0), (columns.xi(s), 1.0)], 0.0, math.inf)
    worst = [(columns.xi(s), 1 / ((1 - TAIL_SHARE) * count)) for s in range(count)]
    rows.add([(columns.eta, 1.0), *worst], -math.inf, budget_usd)


def _bounds(columns: _Columns) -> tuple[Any, Any]:
    import numpy as np

    problem = columns.problem
    low, high = np.zeros(columns.count), np.full(columns.count, np.inf)
    low[columns.eta] = -np.inf
    for k, way in enumerate(problem.committed):
        if way.units is not None:
            high[k] = way.units // problem.server
    for s, scenario in enumerate(problem.scenarios):
        for t, replicas in enumerate(scenario.replicas):
            if not scenario.token_usd_per_replica_h:
                high[columns.z(s, t)] = 0.0
            for j, hourly in enumerate(problem.hourly):
                if hourly.fleet_share < 1:
                    most = int(hourly.fleet_share * replicas + 1e-9)
                    high[columns.y(s, t, j)] = most // problem.server
    return low, high


def _integrality(columns: _Columns) -> Any:
    import numpy as np

    whole = np.zeros(columns.count)
    whole[: len(columns.problem.committed)] = 1
    for s, windows in enumerate(columns.windows):
        for t in range(windows):
            for j in range(len(columns.problem.hourly)):
                whole[columns.y(s, t, j)] = 1
    return whole


def _solution(columns: _Columns, found: Any) -> Solution:
    problem = columns.problem
    if found.x is None:
        why = "the tail budget cannot be met with any of these ways to pay"
        if found.status == _TIMED_OUT:
            why = f"no plan was found within {problem.time_limit_s:g} seconds"
        raise InconclusiveError(why, hint="raise the budget, or offer more ways to pay")
    units = {way.id: round(found.x[k]) * problem.server for k, way in enumerate(problem.committed)}
    bills = tuple(
        float(sum(usd * found.x[column] for column, usd in _bill(columns, s)))
        for s in range(len(problem.scenarios))
    )
    return Solution(
        units=units,
        usd=sum(bills) / len(bills),
        bills_usd=bills,
        cvar_usd=cvar(bills, TAIL_SHARE),
        gap_share=float(found.mip_gap or 0.0),
    )
