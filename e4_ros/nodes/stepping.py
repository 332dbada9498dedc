"""From a lease to clocks that step: the plan for this engine on the helper's board."""

from __future__ import annotations

from pathlib import Path

from e4_ros.energy.client import DvfsClient
from e4_ros.energy.model import works_of
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.evaluation.clocks import Clocks, HelperClocks
from e4_ros.profiling import planner
from e4_ros.vision.engine import EarlyExitEngine


def take_clocks(
    client: DvfsClient, engine: EarlyExitEngine, plan_file: str, deadline_s: float
) -> Clocks:
    """Give the helper a plan; the clocks returned step through it.

    Args:
        client: Holds the lease.
        engine: Its segments are stepped.
        plan_file: A plan (YAML); empty to plan on the board's model, all exits equally likely.
        deadline_s: Longest latency that a plan made here may expect; 0: three times the fastest.

    Raises:
        ValueError: the plan does not fit the board or the engine, or the board is not known.
        OSError: the plan cannot be read, or the helper refuses it.
    """
    works = works_of(engine.segments)
    if plan_file:
        plan = FrequencyPlan.load(Path(plan_file).expanduser())
        plan.check_model(engine.model.name, [segment.name for segment in engine.segments])
    else:
        shares = dict.fromkeys(engine.paths, 1.0)
        plan = planner.plan(
            client.board, works, engine.paths, shares, deadline_s, model=engine.model.name
        )
    client.set_plan(plan)
    return HelperClocks(client, works, plan)
