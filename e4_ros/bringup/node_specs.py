"""The words of a bringup: what a user may say, which nodes start, and what they are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from e4_ros import paths

Values = Mapping[str, str]


@dataclass(frozen=True)
class Argument:
    """What a user may say. A default of ``true`` or ``false`` makes it a switch."""

    name: str
    default: str
    description: str

    @property
    def is_switch(self) -> bool:
        """Whether it is only on or off."""
        return self.default in ('true', 'false')


@dataclass(frozen=True)
class NodeSpec:
    """One node to start.

    Attributes:
        executable: What `ros2 run e4_ros` calls it; the node has the same name.
        parameters: On top of the params file.
        remappings: Name in the node → name outside.
        last: When this node ends, all is done.
    """

    executable: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    remappings: Mapping[str, str] = field(default_factory=dict)
    last: bool = False


@dataclass(frozen=True)
class Bringup:
    """Nodes that run together, in the order in which they start; they stop in the other."""

    name: str
    description: str
    arguments: tuple[Argument, ...]
    nodes: Callable[[Values], list[NodeSpec]]

    @property
    def all_arguments(self) -> tuple[Argument, ...]:
        """The own arguments, then the common ones."""
        return (*self.arguments, *common_arguments())

    def specs(self, values: Values) -> list[NodeSpec]:
        """The nodes to start; what ``values`` leaves out has its default.

        Raises:
            ValueError: there is no such argument.
        """
        defaults = {argument.name: argument.default for argument in self.all_arguments}
        unknown = sorted(values.keys() - defaults.keys())
        if unknown:
            raise ValueError(f'{self.name} has no argument {", ".join(unknown)}')
        return self.nodes(defaults | dict(values))


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
