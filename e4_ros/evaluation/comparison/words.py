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

"""What a comparison found, in sentences: the same on the terminal and on the page."""

from __future__ import annotations

from e4_ros.evaluation.comparison.battery import Runtime
from e4_ros.evaluation.comparison.intervals import Interval
from e4_ros.evaluation.comparison.result import Result
from e4_ros.perception.palette import joules

_METERS = {
    'ina': 'its power rails',
    'jtop': 'the total of jtop',
    'counters': 'energy counters (RAPL, NVML)',
}


def sentence(found: Result) -> str:
    """The result in one sentence, or why there is none."""
    best, stock, facts = found.best, found.stock, found.facts
    if not facts.meter:
        return (
            f'Nothing tells the joules of {facts.board}: no saving can be stated. {_others(found)}'
        )
    assert best.energy_j is not None
    assert stock.energy_j is not None
    assert best.saved is not None
    energies = f'{joules(best.energy_j.value)} a frame, stock {joules(stock.energy_j.value)}'
    if not facts.measured:
        return (
            f'No meter: by {facts.meter} {best.arm.title} would take {energies}. That is '
            'modelled, and no saving that anybody has measured.'
        )
    where = f'{"the virtual board " if facts.virtual else ""}{facts.board}'
    saved = best.saved
    if not saved.known:
        return (
            f'{energies} on {where}: one round shows {share(saved)} less, and nothing of how sure '
            'that is. Give it more minutes.'
        )
    assert saved.low is not None
    assert saved.high is not None
    if saved.low <= 0 <= saved.high:
        return f'No saving was found on {where}: {energies}, a difference of {share(saved)}.'
    verb = 'saves' if saved.low > 0 else 'wastes'
    part = saved if saved.low > 0 else saved.scaled(-1)
    return (
        f'On {where} E4 {verb} {share(part)} of the energy of every frame: {energies}. '
        f'{_others(found)}'
    )


def _others(found: Result) -> str:
    """Lateness and agreement, in a sentence."""
    best, stock = found.best, found.stock
    late = f'{percent(best.late.value)} of its frames are late, stock {percent(stock.late.value)}'
    if best.agreement is None:
        return f'{late}.'
    return f'{late}; its answers agree with the full network at {best.agreement.value:.3f}.'


def battery_sentence(runtime: Runtime) -> str:
    """What the saving means to the battery."""
    gained = runtime.gained_minutes
    span = ''
    if gained.low is not None and gained.high is not None:
        span = f' ({gained.low:.0f} to {gained.high:.0f})'
    who = 'the robot' if runtime.whole_robot else 'the board alone'
    return (
        f'{gained.value:.0f} minutes more{span} from {runtime.battery.full_wh:.3g} Wh, which last '
        f'{clock(runtime.stock_minutes)} for {who} at {runtime.draw_w:.3g} W.'
    )


def notes(found: Result) -> list[str]:
    """How it was measured and what is to be known of it, in sentences."""
    facts, plan, measured = found.facts, found.plan, found.measured
    steps = ''
    if found.step_w:
        steps = f', and the steps of {1e3 * found.step_w:.0f} mW that the meter showed'
    said = [
        f'{found.rounds} round{"s" if found.rounds != 1 else ""} of {len(found.arms)} blocks of '
        f'{plan.block_s:.1f} s in random order; the first {plan.warm_up_s:.1f} s of a block are '
        'not counted.',
        'Intervals are 95 %: Student’s t over the rounds, whose blocks are compared with each '
        f'other{steps}. That of agreement is a bootstrap over stretches of the footage.',
    ]
    if facts.same_frames:
        said.append(
            f'All blocks play the same frames of {facts.source}, at {1 / facts.period_s:.3g} a '
            'second: the interval says what measuring again would give, not what other footage '
            'would.'
        )
    else:
        said.append(
            'A live camera gives every block other frames: the interval holds their differences, '
            'and nobody can say how alike the answers are. A recording does both better.'
        )
    said.append(
        f'Joules are those of the whole board, as far as {meter_name(facts.meter)} '
        'can see it; a frame’s are the watts times the time between two frames.'
        if facts.meter
        else 'Without rails, RAPL, NVML or jtop nothing counts joules here; `e4 doctor` says what '
        'is missing, and `--power-like jetson_orin_nano` takes the model of another board.'
    )
    said.append(
        f'Late is an answer more than {1e3 * facts.deadline_s:.0f} ms after its frame, and a frame '
        'that was passed over for a newer one.'
    )
    if facts.no_clocks:
        said.append(f'Clocks were left alone: {facts.no_clocks}.')
    else:
        said.append(
            'The daemon runs during all blocks; in those without planned clocks it holds no plan.'
        )
    if facts.virtual:
        said.append(
            'This board is virtual: the answers are real, each segment lasted as long as the board '
            'model says, and the joules come from simulated rails. `exact` is what the model put '
            'in.'
        )
    said += [f'Plan of {name}: {text}.' for name, text in facts.plans.items()]
    said += [f'Repeated: {text}.' for text in measured.repeated]
    if measured.ended:
        said.append(f'Ended early: {measured.ended}. Finished rounds count.')
    return said + list(facts.notes)


def meter_name(meter: str) -> str:
    """A meter as people call it."""
    return _METERS.get(meter, meter)


def share(found: Interval) -> str:
    """A share as ``23.1 % (21.9 to 24.3)``."""
    if found.low is None or found.high is None:
        return f'{100 * found.value:.1f} %'
    return f'{100 * found.value:.1f} % ({100 * found.low:.1f} to {100 * found.high:.1f})'


def percent(value: float) -> str:
    """A share as ``1.2 %``."""
    return f'{100 * value:.1f} %'


def clock(minutes: float) -> str:
    """Minutes as ``4 h 10``."""
    return f'{int(minutes // 60)} h {int(minutes % 60):02d}'
