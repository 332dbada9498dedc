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

"""What a user may say to a bringup: launch arguments, options of `e4 up`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from e4_ros import paths
from e4_ros.bringup.parameter_spec import ParameterError, ParameterSpec

Values = Mapping[str, str]
"""Texts by the names of arguments, as launch gives them; an empty one is not given."""


@dataclass(frozen=True)
class Argument:
    """One argument. A default of ``true`` or ``false`` makes it a switch.

    Attributes:
        default: Text where nothing is given; empty leaves a parameter to the params file.
        choices: Texts that it may be, the empty one besides; none for any.
        group: Node whose parameter it is; empty for what concerns the bringup.
        spec: Parameter that it sets, where it sets one.
    """

    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()
    group: str = ''
    spec: ParameterSpec | None = None

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off and never left open."""
        return self.default in ('true', 'false')

    def value(self, text: str) -> Any:
        """What ``text`` means: a parameter's checked value, a switch's state, or the text.

        Raises:
            ParameterError: the text is none for this argument; names it.
        """
        try:
            if self.spec is not None:
                return self.spec.parse(text)
            if self.is_switch:
                return ParameterSpec(self.name, True, self.description).parse(text)
            ParameterSpec(self.name, '', '', choices=self.choices).check(text)
        except ParameterError as error:
            same = self.spec is None or self.spec.name == self.name
            raise (error if same else ParameterError(f'{self.name}: {error}')) from None
        return text


def of_parameter(spec: ParameterSpec, node: str, name: str = '', default: str = '') -> Argument:
    """The argument that sets a node's parameter.

    Args:
        spec: Parameter to set.
        node: Node that has it.
        name: Name of the argument, where another argument has the parameter's.
        default: Text where nothing is given.
    """
    description = f'{spec.description} ({node}: {_describe(spec)})'
    # Launch knows closed lists of choices only; the parameter's own check comes all the same.
    choices = () if spec.also else tuple(choice or "''" for choice in spec.choices)
    return Argument(name or spec.name, default, description, choices, node, spec)


def _describe(spec: ParameterSpec) -> str:
    """Type, range and default in a few words."""
    if isinstance(spec.default, (list, tuple)):
        kind, default = 'list', f'[{", ".join(map(str, filter(None, spec.default)))}]'
    else:
        kind = {bool: 'bool', int: 'integer', float: 'double', str: 'string'}[type(spec.default)]
        default = str(spec.default).lower() if isinstance(spec.default, bool) else str(spec.default)
    ranged = '' if spec.low is None else f' from {spec.low:g} to {spec.high:g}'
    return f'{kind}{ranged}, default {default or "empty"}'


def common_arguments() -> tuple[Argument, ...]:
    """What every bringup understands."""
    params_file = str(paths.config_dir() / 'params.yaml')
    return (
        Argument('namespace', '', 'Namespace of all nodes.'),
        Argument('params_file', params_file, 'Parameters of the nodes (YAML).'),
        Argument('use_sim_time', 'false', 'Take the time from /clock.'),
        Argument('autostart', 'true', 'Configure and activate the lifecycle nodes at start.'),
        Argument('use_respawn', 'false', 'Start a node again when it dies.'),
        Argument('log_level', 'info', 'debug, info, warn, error or fatal.'),
    )
