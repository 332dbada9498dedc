# Copyright 2026 e4_ros maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The controllers by name; `controllers` lists them, `make_controller` makes one.

A new one is a class with `decide`, `observe` and `check` (see `perception.controller`) and a line
in the table below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from e4_ros.perception.controller import Controller, ControllerError

if TYPE_CHECKING:
    from e4_ros.perception.controllers.context import Context

__all__ = [
    'FIXED',
    'WITH_EXITS',
    'ControllerSpec',
    'controllers',
    'live_spec',
    'make_controller',
    'spec_of',
]

FIXED = 'fixed:'
LEARNED = 'dvfo:learned='
WITH_EXITS = '+exits'
"""Appended to a name that runs the whole network: frames may then stop early."""


@dataclass(frozen=True)
class ControllerSpec:
    """What is known of a controller before it is made.

    Attributes:
        name: what the user calls it.
        description: one line.
        exits: whether frames may stop early under it.
        clocks: whether it sets clocks; those that do not need no lease of them.
        live: whether it runs on a robot; if not, only in the simulator of `e4 reproduce`.
        make: makes it.
    """

    name: str
    description: str
    exits: bool
    clocks: bool
    live: bool
    make: Callable[[Context], Controller]


def controllers() -> dict[str, ControllerSpec]:
    """Every controller with a fixed name; ``fixed:cpu=1.2GHz,gpu=612MHz`` is one more, open kind.

    Returns:
        Name → what it is, those of a robot first.
    """
    return {spec.name: spec for spec in [*_OWN, *_with_exits(_FIXED), *_with_exits(_GOVERNORS)]}


def spec_of(name: str) -> ControllerSpec:
    """The controller of this name.

    Raises:
        ControllerError: there is none; lists what there is.
    """
    known = controllers()
    if name in known:
        return known[name]
    base = name.removesuffix(WITH_EXITS)
    if base.startswith(FIXED):
        return _given_point(name, base.removeprefix(FIXED), exits=base != name)
    if name.startswith(LEARNED):
        return _given_policy(name, name.removeprefix(LEARNED))
    raise ControllerError(
        f'there is no controller {name!r}; choose one of {", ".join(known)}, or a point such as '
        f'{FIXED}cpu=1.2GHz,gpu=612MHz (`e4 controllers` explains them)'
    )


def live_spec(name: str) -> ControllerSpec:
    """The controller of this name, if it can run anywhere but in the simulator.

    Raises:
        ControllerError: there is none, or it needs what only the simulator can tell it.
    """
    spec = spec_of(name)
    if not spec.live:
        raise ControllerError(
            f'controller {name} runs in the simulator only (`e4 reproduce`): elsewhere nobody '
            "tells it how busy the domains are. The kernel's own governors have the clocks with "
            'controller full or exits'
        )
    return spec


def make_controller(name: str, context: Context) -> Controller:
    """Make a controller.

    Args:
        name: one of `controllers`, or ``fixed:`` and a point.
        context: what it is made for.

    Raises:
        ControllerError: there is no such controller, or ``context`` lacks what it needs.
    """
    return spec_of(name).make(context)


def _depth(exits: bool) -> Callable[[Context], Controller]:
    def make(context: Context) -> Controller:
        from e4_ros.perception.controllers.base import DepthOnly

        return DepthOnly(exits)

    return make


def _planned(exits: bool) -> Callable[[Context], Controller]:
    def make(context: Context) -> Controller:
        from e4_ros.perception.controllers.e4 import E4

        return E4(context, exits)

    return make


def _edge(top: bool) -> Callable[[Context, bool], Controller]:
    def make(context: Context, exits: bool) -> Controller:
        from e4_ros.perception.controllers.fixed import Edge

        return Edge(context, top, exits)

    return make


def _best(context: Context, exits: bool) -> Controller:
    from e4_ros.perception.controllers.fixed import BestFixed

    return BestFixed(context, exits)


def _governors(name: str) -> Callable[[Context, bool], Controller]:
    def make(context: Context, exits: bool) -> Controller:
        from e4_ros.perception.controllers.governors import SETS, Governors

        return Governors(SETS[name], exits)

    return make


def _learned(name: str) -> Callable[[Context, bool], Controller]:
    def make(context: Context, exits: bool) -> Controller:
        from e4_ros.perception.controllers.learned import Learned

        if name not in context.learnt:
            raise ControllerError(
                f'{name} has to learn first, and learns in the simulator only: `e4 reproduce`'
            )
        return Learned(context.learnt[name], exits)

    return make


def _dvfo(policy: str) -> Callable[[Context], Controller]:
    def make(context: Context) -> Controller:
        from e4_ros.perception.controllers.dvfo.exact import Exact
        from e4_ros.perception.controllers.dvfo.greedy import Greedy

        if policy == 'learned':
            from e4_ros.perception.controllers.dvfo.learned import Learned

            return Learned(context)
        return {'exact': Exact, 'greedy': Greedy}[policy](context)

    return make


def _bcedge(kind: str) -> Callable[[Context], Controller]:
    def make(context: Context) -> Controller:
        from e4_ros.perception.controllers import bcedge

        if kind == 'exact':
            return bcedge.BCEdgeExact(context.batches, context.inflation, context.largest)
        if kind == 'greedy':
            return bcedge.BCEdgeGreedy(context.largest)
        name = f'bcedge:{kind}'
        if name not in context.policies:
            raise ControllerError(
                f'{name} has to learn first, and learns in the simulator only: '
                '`e4 bench siblings --part cameras`'
            )
        return bcedge.BCEdgeLearned(context.policies[name], context.largest)

    return make


def _infer_edge(kind: str) -> Callable[[Context], Controller]:
    def make(context: Context) -> Controller:
        from e4_ros.perception.controllers import infer_edge

        found: Controller = getattr(infer_edge, kind)(context)
        return found

    return make


def _given_point(name: str, text: str, exits: bool) -> ControllerSpec:
    from e4_ros.energy.daemon.hold_point import parse_point
    from e4_ros.perception.controllers.fixed import Fixed

    try:
        point = parse_point(text.split(','))
    except ValueError as error:
        raise ControllerError(f'controller {name!r}: {error}') from None
    return ControllerSpec(
        name, 'That operating point.', exits, True, True, lambda _: Fixed(point, exits)
    )


def _given_policy(name: str, file: str) -> ControllerSpec:
    def make(context: Context) -> Controller:
        from e4_ros.perception.controllers.dvfo.learned import Learned
        from e4_ros.perception.controllers.policy_net import PolicyError, PolicyNet

        try:
            return Learned(context, PolicyNet.load(Path(file).expanduser()))
        except (OSError, PolicyError) as error:
            raise ControllerError(f'controller {name!r}: {error}') from None

    return ControllerSpec(name, 'Clocks and offloading by that policy.', True, True, True, make)


_OWN = (
    ControllerSpec(
        'e4',
        'The first exit that is trusted; clocks of a frequency plan that follows the stream.',
        *(True, True, True),
        _planned(exits=True),
    ),
    ControllerSpec(
        'full',
        "The whole network; clocks are left to the kernel's governors.",
        *(False, False, True),
        _depth(exits=False),
    ),
    ControllerSpec(
        'exits',
        "The first exit that is trusted; clocks are left to the kernel's governors.",
        *(True, False, True),
        _depth(exits=True),
    ),
    ControllerSpec(
        'plan',
        'The whole network; clocks of a frequency plan that follows the stream.',
        *(False, True, True),
        _planned(exits=False),
    ),
    ControllerSpec(
        'dvfo',
        'Clocks and offloading together, after DVFO: the policy that won its table, dvfo:exact.',
        *(True, True, True),
        _dvfo('exact'),
    ),
    ControllerSpec(
        'dvfo:exact',
        'The same by search: all clocks and all that can be sent, as the link is estimated.',
        *(True, True, True),
        _dvfo('exact'),
    ),
    ControllerSpec(
        'dvfo:greedy',
        'The same by a bandit: LinUCB corrects the search by what frames really cost.',
        *(True, True, True),
        _dvfo('greedy'),
    ),
    ControllerSpec(
        'dvfo:learned',
        'The same by a branching DQN that thinks while the frame runs; dvfo:learned=FILE for one.',
        *(True, True, True),
        _dvfo('learned'),
    ),
    ControllerSpec(
        'bcedge',
        'Cameras under service levels share the network as bcedge:exact decides.',
        *(True, False, True),
        _bcedge('exact'),
    ),
    ControllerSpec(
        'bcedge:exact',
        'The same: the best batch, instances and depth by what was measured.',
        *(True, False, True),
        _bcedge('exact'),
    ),
    ControllerSpec(
        'bcedge:greedy',
        'The same by trying: AIMD on the batch, a bandit (LinUCB) on the depth.',
        *(True, False, True),
        _bcedge('greedy'),
    ),
    ControllerSpec(
        'bcedge:learned',
        'The same by discrete SAC, trained in the simulator, after BCEdge.',
        *(True, False, False),
        _bcedge('learned'),
    ),
    ControllerSpec(
        'bcedge:branching',
        'The same by a DQN with a branch for each decision, after the journal version.',
        *(True, False, False),
        _bcedge('branching'),
    ),
    ControllerSpec(
        'infer_edge',
        'Version of the model and clocks by what is weighed (`preference`): infer_edge:exact.',
        *(True, True, True),
        _infer_edge('Exact'),
    ),
    ControllerSpec(
        'infer_edge:exact',
        'Version and clocks by looking all of them up, corrected by what frames took.',
        *(True, True, True),
        _infer_edge('Exact'),
    ),
    ControllerSpec(
        'infer_edge:greedy',
        'Version and clocks by LinUCB on what the table of costs leaves unexplained.',
        *(True, True, True),
        _infer_edge('Greedy'),
    ),
    ControllerSpec(
        'infer_edge:learned',
        'Version and clocks by a policy network that `e4 versions --learn` has trained (A2C).',
        *(True, True, True),
        _infer_edge('Learned'),
    ),
)

_Row: TypeAlias = 'tuple[str, str, bool, Callable[[Context, bool], Controller]]'

_FIXED: tuple[_Row, ...] = (
    ('fixed:max', 'The highest clocks that are allowed.', True, _edge(top=True)),
    ('fixed:min', 'The lowest clocks that are allowed.', True, _edge(top=False)),
    ('fixed:best', 'The one point that is best by the model.', True, _best),
)

_PIN = '@emc_top'

_GOVERNORS: tuple[_Row, ...] = (
    ('performance', 'CPU and GPU at their tops.', True, _governors('performance')),
    (f'performance{_PIN}', 'All clocks at their tops.', True, _governors(f'performance{_PIN}')),
    ('powersave', 'All clocks at their bottoms.', True, _governors('powersave')),
    *(
        (name, f'{text}{more}', False, _governors(name))
        for base, text in (
            ('schedutil', 'CPU by schedutil, GPU at its top'),
            ('simple_ondemand', 'CPU by schedutil, GPU by simple_ondemand'),
            ('nvhost_podgov', 'CPU by schedutil, GPU by nvhost_podgov: a stock Jetson'),
        )
        for name, more in ((base, '.'), (f'{base}{_PIN}', ', memory at its top.'))
    ),
    ('ztt', 'DQN in the manner of zTT, trained in the simulator.', False, _learned('ztt')),
    (
        'ring_dvfs_like',
        'DQN paid for energy, lateness, wear and soft errors, in the manner of Ring-DVFS.',
        False,
        _learned('ring_dvfs_like'),
    ),
)


def _with_exits(rows: tuple[_Row, ...]) -> list[ControllerSpec]:
    """Each of the rows with the whole network, and once more with early exits."""
    return [
        ControllerSpec(
            name + WITH_EXITS * exits,
            f'{"Early exits" if exits else "The whole network"}. {text}',
            exits,
            True,
            live,
            lambda context, make=make, exits=exits: make(context, exits),  # type: ignore[misc]
        )
        for name, text, live, make in rows
        for exits in (False, True)
    ]
