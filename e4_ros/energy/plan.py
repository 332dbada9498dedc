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

"""Frequency plans: for each exit path, the operating point of each of its segments.

A plan is made by the profiler, kept as YAML, edited by people and applied by the DVFS daemon, so it
is checked in two steps. The model refuses what makes no sense anywhere; the ``check_*`` methods
refuse what does not fit this board or this model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError, model_validator

from e4_ros.files import write_whole

MAX_PLAN_BYTES = 128 * 1024
"""Longest accepted plan text: a plan also arrives from other processes."""

Name = Annotated[str, Field(min_length=1, max_length=200)]
DeviceName = Annotated[str, Field(pattern=r'^[a-z][a-z0-9_-]{0,31}$')]
DomainName = Annotated[str, Field(pattern=r'^[a-z][a-z0-9_-]{0,31}$')]
Hertz = Annotated[StrictInt, Field(gt=0, lt=2**63)]
OperatingPoint = Annotated[dict[DomainName, Hertz], Field(min_length=1, max_length=16)]
"""One frequency in hertz for each domain."""


class PlanError(ValueError):
    """The plan makes no sense, or does not fit this board or model; the message says where."""


class _Plain(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True, defer_build=True)


class PlanPath(_Plain):
    """The segments that run on the way to one exit, and what the exit costs.

    Attributes:
        segments: ascending indices into the plan's ``segments``.
        points: operating point of each of these segments.
        expected_latency_s: latency of a frame with this exit, in seconds.
        expected_energy_j: energy of a frame with this exit, in joules.
    """

    segments: Annotated[list[StrictInt], Field(min_length=1, max_length=1024)]
    points: Annotated[list[OperatingPoint], Field(min_length=1, max_length=1024)]
    expected_latency_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    expected_energy_j: Annotated[float, Field(ge=0, allow_inf_nan=False)]

    @model_validator(mode='after')
    def _check(self) -> PlanPath:
        if len(self.points) != len(self.segments):
            raise ValueError(
                f'{len(self.segments)} segments but {len(self.points)} points: one point a segment'
            )
        if any(b <= a for a, b in zip(self.segments, self.segments[1:], strict=False)):
            raise ValueError(f'segments {self.segments} do not ascend')
        return self


class FrequencyPlan(_Plain):
    """Operating points for every exit path of one model on one board.

    Attributes:
        name: name of the plan, for people.
        board: name of the board that the plan was made for.
        model: name of the model whose segments it clocks.
        segments: names of all the model's segments, in the order in which they run.
        devices: device that runs each segment, in the same order (``cpu``, ``cuda``, ...): clocks
            that suit one device starve or waste another.
        paths: exit name → :class:`PlanPath`; the position of an exit is its index in a step.
        source: whether the expected joules were ``measured`` or ``modelled``.
    """

    name: Name
    board: Name
    model: Name
    segments: Annotated[list[Name], Field(min_length=1, max_length=1024)]
    devices: Annotated[list[DeviceName], Field(min_length=1, max_length=1024)]
    paths: Annotated[dict[Name, PlanPath], Field(min_length=1, max_length=256)]
    source: Literal['measured', 'modelled']

    @model_validator(mode='before')
    @classmethod
    def _dated(cls, data: object) -> object:
        if isinstance(data, dict) and 'segments' in data and 'devices' not in data:
            raise ValueError(
                'it does not say which device each segment runs on, so it is from an older version '
                'or not from `e4 profile`; profile again'
            )
        return data

    @model_validator(mode='after')
    def _check(self) -> FrequencyPlan:
        if len(self.devices) != len(self.segments):
            raise ValueError(
                f'{len(self.segments)} segments but {len(self.devices)} devices: one a segment'
            )
        if len(set(self.segments)) != len(self.segments):
            raise ValueError('segment names repeat')
        domains = set(self.domains)
        for exit_name, path in self.paths.items():
            if path.segments[0] < 0 or path.segments[-1] >= len(self.segments):
                raise ValueError(
                    f'path {exit_name!r} names segment {path.segments[-1]}, '
                    f'but the plan has {len(self.segments)} (0 to {len(self.segments) - 1})'
                )
            for index, point in zip(path.segments, path.points, strict=True):
                if set(point) != domains:
                    raise ValueError(
                        f'path {exit_name!r}, segment {index}: domains {sorted(point)} where the '
                        f'first point has {sorted(domains)}; every point names the same domains'
                    )
        return self

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains the plan clocks, in the order of its first point."""
        return tuple(next(iter(self.paths.values())).points[0])

    @property
    def exits(self) -> tuple[str, ...]:
        """Names of the exits; the position of one is the path index of a step."""
        return tuple(self.paths)

    def point(self, exit_name: str, segment: int) -> dict[str, int] | None:
        """Operating point of a segment on the way to an exit; None where the exit skips it.

        Args:
            exit_name: name of the exit.
            segment: index into ``segments``.
        """
        path = self.paths[exit_name]
        if segment not in path.segments:
            return None
        return path.points[path.segments.index(segment)]

    def check_board(self, board: str) -> None:
        """Raise :class:`PlanError` unless the plan was made for ``board``."""
        if self.board != board:
            raise PlanError(
                f'plan {self.name!r} was made for board {self.board!r}, this is {board!r}; '
                'make one for this board with `e4 profile`'
            )

    def check_model(self, model: str, segments: Sequence[str]) -> None:
        """Raise :class:`PlanError` unless made for ``model``, divided into ``segments``."""
        if self.model != model:
            raise PlanError(
                f'plan {self.name!r} was made for model {self.model!r}, this is {model!r}'
            )
        if list(segments) != self.segments:
            raise PlanError(
                f'plan {self.name!r} knows the segments {", ".join(self.segments)}, but the model '
                f'is cut into {", ".join(segments)}; profile it again'
            )

    def check_devices(self, devices: Sequence[str]) -> None:
        """Raise :class:`PlanError` unless each segment runs on the device it was planned for.

        Args:
            devices: device of each of the plan's segments, in order.
        """
        if list(devices) != self.devices:
            raise PlanError(
                f'plan {self.name!r} was made for {_devices(self.segments, self.devices)}, but here'
                f' the network runs on {_devices(self.segments, devices)}; profile it on this '
                'device, or choose the other with `device`'
            )

    def check_domains(
        self,
        frequencies_hz: Mapping[str, Sequence[int]],
        limits_hz: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        """Raise :class:`PlanError` where a point leaves the board's tables or limits.

        Args:
            frequencies_hz: domain → table of its frequencies in hertz.
            limits_hz: domain → lowest and highest allowed frequency in hertz; a missing domain may
                use its whole table.
        """
        unknown = sorted(set(self.domains) - set(frequencies_hz))
        if unknown:
            raise PlanError(
                f'plan {self.name!r} clocks unknown domain {", ".join(unknown)}; '
                f'this board has {", ".join(frequencies_hz) or "none"}'
            )
        tables = {name: frozenset(frequencies_hz[name]) for name in self.domains}
        for exit_name, path in self.paths.items():
            for index, point in zip(path.segments, path.points, strict=True):
                where = f'plan {self.name!r}, path {exit_name!r}, segment {index}'
                for domain, hertz in point.items():
                    if hertz not in tables[domain]:
                        raise PlanError(f'{where}: {_not_in_table(domain, hertz, tables[domain])}')
                    low, high = (limits_hz or {}).get(domain, (hertz, hertz))
                    if not low <= hertz <= high:
                        raise PlanError(
                            f'{where}: {domain} at {hertz} Hz is outside the allowed '
                            f'{low} to {high} Hz'
                        )

    def to_yaml(self) -> str:
        """The plan as text, readable by :meth:`from_yaml`."""
        return yaml.dump(self.model_dump(), Dumper=_PlainDumper, sort_keys=False, width=100)

    @classmethod
    def from_yaml(cls, text: str, origin: str = 'plan') -> FrequencyPlan:
        """Parse a plan.

        Args:
            text: the plan as YAML.
            origin: name of the file, with which the message of an error begins.

        Raises:
            PlanError: the text is not a plan.
        """
        if len(text) > MAX_PLAN_BYTES:
            raise PlanError(f'{origin}: longer than {MAX_PLAN_BYTES} bytes')
        try:
            _refuse_bombs(text, origin)
            return cls.model_validate(yaml.load(text, _Loader))
        except ValidationError as error:
            raise PlanError(f'{origin}: {_explain(error)}') from None
        except yaml.YAMLError as error:
            raise PlanError(f'{origin}: not YAML: {error}') from None

    @classmethod
    def from_json(cls, text: str | bytes) -> FrequencyPlan:
        """Parse what ``model_dump_json`` wrote.

        Raises:
            PlanError: the text is not a plan.
        """
        if len(text) > MAX_PLAN_BYTES:
            raise PlanError(f'plan: longer than {MAX_PLAN_BYTES} bytes')
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise PlanError(f'plan: {_explain(error)}') from None

    def save(self, path: str | Path) -> None:
        """Write the plan as YAML; the file appears whole or not at all."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, self.to_yaml())

    @classmethod
    def load(cls, path: str | Path) -> FrequencyPlan:
        """Read a YAML plan.

        Raises:
            PlanError: the file does not hold a plan.
            OSError: the file cannot be read.
        """
        try:
            text = Path(path).read_text()
        except UnicodeDecodeError as error:
            raise PlanError(f'{path}: not text: {error}') from None
        return cls.from_yaml(text, origin=str(path))


_Loader: type = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)


class _PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _refuse_bombs(text: str, origin: str) -> None:
    """Refuse aliases and depth, with which a short text can exhaust memory or the stack."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.AliasEvent):
            raise PlanError(f'{origin}: YAML aliases are not allowed in a plan')
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > 8:
            raise PlanError(f'{origin}: nested too deeply')


def _devices(segments: Sequence[str], devices: Sequence[str]) -> str:
    """The device's name, or each segment's where they differ."""
    # The first segment prepares the frame, on the CPU whatever computes the network.
    if len(network := set(devices[1:] or devices)) == 1:
        return repr(network.pop())
    return ', '.join(f'{s} on {d!r}' for s, d in zip(segments, devices, strict=False))


def _not_in_table(domain: str, hertz: int, table: frozenset[int]) -> str:
    nearest = min(table, key=lambda entry: abs(entry - hertz), default=None)
    hint = '' if nearest is None else f'; the nearest is {nearest}'
    return f'{domain} has no frequency {hertz} Hz{hint}'


def _explain(error: ValidationError) -> str:
    """First few problems of a pydantic error, on one line."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [
        '.'.join(map(str, p['loc'])) + (': ' if p['loc'] else '') + p['msg'] for p in problems[:3]
    ]
    more = f' (and {len(problems) - 3} more)' if len(problems) > 3 else ''
    return '; '.join(lines) + more
