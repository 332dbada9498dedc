"""Described parameters: one table a node, checked by ROS and by us, refused with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter of a node.

    Attributes:
        default: Value and type. An empty text in a list of texts counts as nothing, because ROS
            cannot tell the type of an empty list.
        low, high: Inclusive range of a number; both or none.
        choices: What a text may be; empty for anything.
        read_only: Only to be given at start.
        live: A change has effect at once. Others are read when the node is configured, and are
            refused while it is.
    """

    name: str
    default: Any
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False
    live: bool = False

    def descriptor(self) -> ParameterDescriptor:
        """What `ros2 param describe` shows."""
        descriptor = ParameterDescriptor(description=self.description, read_only=self.read_only)
        if self.choices:
            descriptor.additional_constraints = f'one of: {", ".join(self.choices)}'
        if self.low is None or self.high is None:
            return descriptor
        if isinstance(self.default, int):
            whole = IntegerRange(from_value=int(self.low), to_value=int(self.high))
            descriptor.integer_range = [whole]
        else:
            real = FloatingPointRange(from_value=float(self.low), to_value=float(self.high))
            descriptor.floating_point_range = [real]
        return descriptor

    def refusal(self, value: Any, configured: bool) -> str:
        """Why ``value`` cannot be taken now; empty when it can."""
        if self.choices and value not in self.choices:
            return f'{self.name} is one of {", ".join(self.choices)}, not {value!r}'
        if configured and not self.live:
            return (
                f'{self.name} is read when the node is configured: deactivate and clean it up '
                'first (ros2 lifecycle set NODE deactivate, then cleanup)'
            )
        return ''


def declare(
    node: Node, specs: Sequence[ParameterSpec], configured: Callable[[], bool] = lambda: False
) -> None:
    """Declare ``specs`` on ``node`` and refuse values that they do not allow.

    Args:
        node: Gets the parameters and a callback that checks changes of them.
        specs: What to declare.
        configured: Says whether the node holds values that a change would not reach.

    Raises:
        rclpy.exceptions.InvalidParameterValueException: a value given at start is not allowed.
        rclpy.exceptions.InvalidParameterTypeException: one is of another type.
    """
    by_name = {spec.name: spec for spec in specs}
    declared = False

    def check(parameters: list[Parameter]) -> SetParametersResult:
        too_late = declared and configured()
        known = ((by_name.get(parameter.name), parameter.value) for parameter in parameters)
        reasons = [spec.refusal(value, too_late) for spec, value in known if spec is not None]
        reason = '; '.join(filter(None, reasons))
        return SetParametersResult(successful=not reason, reason=reason)

    node.add_on_set_parameters_callback(check)
    for spec in specs:
        node.declare_parameter(spec.name, spec.default, spec.descriptor())
    declared = True


def value(node: Node, name: str) -> Any:
    """Current value; a list of texts comes without empty ones."""
    current = node.get_parameter(name).value
    if isinstance(current, (list, tuple)) and all(isinstance(item, str) for item in current):
        return [item for item in current if item]
    return current
