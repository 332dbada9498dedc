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

"""The words of a bringup: which nodes start, with which parameters, and who may set them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from e4_ros.bringup.arguments import Argument, Values, common_arguments, of_parameter
from e4_ros.bringup.parameter_spec import ParameterSpec


@dataclass(frozen=True)
class NodeSpec:
    """One node to start.

    Attributes:
        executable: What `ros2 run e4_ros` calls it; the node has the same name.
        parameters: On top of the params file.
        remappings: Name in the node → name outside.
        last: When this node ends, all is done.
        required: When this node fails, all ends, and has failed.
    """

    executable: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    remappings: Mapping[str, str] = field(default_factory=dict)
    last: bool = False
    required: bool = True


@dataclass(frozen=True)
class NodeEntry:
    """A node's place in a bringup.

    Attributes:
        executable: What `ros2 run e4_ros` calls it.
        table: Parameters of the node. Each becomes an argument of the bringup, but for those in
            ``sets`` and for what is common to all nodes.
        sets: Parameters that the bringup itself sets, from the arguments.
        defaults: Texts of arguments that stand in the bringup instead of the params file's values.
        remappings: Gives name in the node → name outside from the arguments.
        switch: Argument without which the node does not start; empty for always. The others do
            without a node that has one.
        last: When this node ends, all is done.
    """

    executable: str
    table: Sequence[ParameterSpec]
    sets: Mapping[str, Callable[[Values], Any]] = field(default_factory=dict)
    defaults: Values = field(default_factory=dict)
    remappings: Callable[[Values], dict[str, str]] = lambda _: {}
    switch: str = ''
    last: bool = False

    def offered(self) -> list[ParameterSpec]:
        """Parameters that a user may set by arguments of their own."""
        common = {argument.name for argument in common_arguments()}
        return [s for s in self.table if s.name not in self.sets and s.name not in common]


@dataclass(frozen=True)
class Bringup:
    """Nodes that run together, in the order in which they start; they stop in the other.

    Attributes:
        own: Arguments that are no node's parameters.
    """

    name: str
    description: str
    own: tuple[Argument, ...]
    nodes: tuple[NodeEntry, ...]

    @property
    def all_arguments(self) -> tuple[Argument, ...]:
        """The bringup's arguments, then each node's parameters, then the common ones.

        A parameter's argument has the parameter's name. Where the bringup or another of its nodes
        uses that name, the node's stands in front: ``perception_helper``.
        """
        uses = Counter(argument.name for argument in self.own)
        uses.update(spec.name for entry in self.nodes for spec in entry.offered())
        parameters = [
            of_parameter(
                spec,
                entry.executable,
                spec.name if uses[spec.name] == 1 else f'{entry.executable}_{spec.name}',
                entry.defaults.get(spec.name, ''),
            )
            for entry in self.nodes
            for spec in entry.offered()
        ]
        return (*self.own, *parameters, *common_arguments())

    def texts(self, values: Values) -> dict[str, str]:
        """``values`` with the defaults of what they leave out, every one checked.

        Raises:
            ValueError: there is no such argument, or a text is none for it.
        """
        arguments = {argument.name: argument for argument in self.all_arguments}
        unknown = sorted(values.keys() - arguments.keys())
        if unknown:
            raise ValueError(f'{self.name} has no argument {", ".join(unknown)}')
        texts = {name: argument.default for name, argument in arguments.items()} | dict(values)
        for name, argument in arguments.items():
            if texts[name] or argument.is_switch:
                value = argument.value(texts[name])
                if argument.is_switch:
                    texts[name] = 'true' if value else 'false'
        return texts

    def specs(self, values: Values) -> list[NodeSpec]:
        """The nodes to start; what ``values`` leaves out has its default.

        Raises:
            ValueError: there is no such argument, or a text is none for it.
        """
        texts = self.texts(values)
        wanted = [e for e in self.nodes if not e.switch or _is_on(texts[e.switch])]
        return [self._spec(entry, texts) for entry in wanted]

    def _spec(self, entry: NodeEntry, texts: Values) -> NodeSpec:
        given = {
            argument.spec.name: argument.value(texts[argument.name])
            for argument in self.all_arguments
            if argument.group == entry.executable and argument.spec and texts[argument.name]
        }
        parameters: dict[str, Any] = {'use_sim_time': _is_on(texts['use_sim_time'])}
        if any(spec.name == 'autostart' for spec in entry.table):
            parameters['autostart'] = _is_on(texts['autostart'])
        parameters |= given | {name: make(texts) for name, make in entry.sets.items()}
        return NodeSpec(
            entry.executable,
            parameters,
            entry.remappings(texts),
            last=entry.last,
            required=not entry.switch,
        )


def _is_on(text: str) -> bool:
    return text == 'true'
