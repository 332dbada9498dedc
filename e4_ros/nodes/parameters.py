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

"""Described parameters: declared from a table, converted where nothing is lost, else refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.node import Node
from rclpy.parameter import Parameter

from e4_ros.bringup.parameter_spec import ParameterError, ParameterSpec

_LATE = (
    '{} is read when the node is configured: deactivate and clean it up first '
    '(ros2 lifecycle set NODE deactivate, then cleanup)'
)


class E4Node(Node):
    """A node, or a mixin in front of one, whose parameters come from a table.

    It takes an integer for a double and the other way round where that loses nothing, wherever the
    value comes from. Setting a parameter to the value that it has changes nothing and succeeds,
    also for a read-only one, so that `ros2 param load` takes what `ros2 param dump` wrote.

    Attributes:
        exit_status: What its process ends with.
    """

    exit_status = 0
    _specs: dict[str, ParameterSpec]

    def stop(self) -> None:
        """Release what outlives the process, while ROS is still up.

        Called last; it may be called twice, and from any state.
        """

    def declare_all(
        self, specs: Sequence[ParameterSpec], configured: Callable[[], bool] = lambda: False
    ) -> None:
        """Declare ``specs`` and refuse values that they do not allow.

        Args:
            specs: Parameters to declare.
            configured: Whether the node holds values that a change would not reach.

        Raises:
            ParameterError: a value given at start is of another type.
            rclpy.exceptions.InvalidParameterValueException: one is not allowed.
        """
        self._specs = {}
        self._parameters_are_bound: Callable[[], bool] = lambda: False
        self._after_parameters: list[Callable[[list[Parameter]], None]] = []
        self.add_on_set_parameters_callback(self._judge_parameters)
        for spec in specs:
            self._specs[spec.name] = spec
            try:
                self.declare_parameter(spec.name, spec.default, descriptor(spec))
            except InvalidParameterTypeException:
                del self._specs[spec.name]  # what it is not is nothing to judge
                given = spec.convert(self._override_of(spec.name))
                self._specs[spec.name] = spec
                self.declare_parameter(spec.name, given, descriptor(spec), ignore_override=True)
        self._parameters_are_bound = configured

    def after_parameters(self, callback: Callable[[list[Parameter]], None]) -> None:
        """Call ``callback`` with parameters that were set; Humble's nodes cannot by themselves."""
        self._after_parameters.append(callback)

    def no_more_after_parameters(self, callback: Callable[[list[Parameter]], None]) -> None:
        """Call ``callback`` no more."""
        self._after_parameters.remove(callback)

    def set_parameters(self, parameter_list: list[Parameter]) -> list[SetParametersResult]:
        """Set parameters one by one."""
        return [self.set_parameters_atomically([parameter]) for parameter in parameter_list]

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Set all parameters or none, those of other number types converted."""
        try:
            wanted = [self._convert_parameter(parameter) for parameter in parameter_list]
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        changes = [parameter for parameter in wanted if not self._is_idle_parameter(parameter)]
        if not changes:
            return SetParametersResult(successful=True)
        result = super().set_parameters_atomically(changes)
        if result.successful:
            for callback in self._after_parameters:
                callback(changes)
        return result

    def _convert_parameter(self, parameter: Parameter) -> Parameter:
        spec = self._specs.get(parameter.name)
        if spec is None or parameter.type_ == Parameter.Type.NOT_SET:
            return parameter
        return Parameter(parameter.name, value=spec.convert(parameter.value))

    def _is_idle_parameter(self, parameter: Parameter) -> bool:
        """Whether setting it is to have no effect, for it has that value.

        A live one is set all the same: the file that it names may have changed.
        """
        spec = self._specs.get(parameter.name)
        if (spec is not None and spec.live) or not self.has_parameter(parameter.name):
            return False
        present = self.get_parameter_or(parameter.name)
        return bool(present.get_parameter_value() == parameter.get_parameter_value())

    def _judge_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        reasons = []
        for parameter in parameters:
            spec = self._specs.get(parameter.name)
            if spec is None:
                continue
            try:
                spec.check(parameter.value)
            except ParameterError as error:
                reasons.append(str(error))
            if self._parameters_are_bound() and not spec.live:
                reasons.append(_LATE.format(spec.name))
        return SetParametersResult(successful=not reasons, reason='; '.join(reasons))

    def _override_of(self, name: str) -> Any:
        """The value of a parameter that was given at start, whatever its type."""
        anything = ParameterDescriptor(dynamic_typing=True)
        given = self.declare_parameter(name, None, anything).value
        self.undeclare_parameter(name)
        return given


def descriptor(spec: ParameterSpec) -> ParameterDescriptor:
    """What `ros2 param describe` shows."""
    described = ParameterDescriptor(description=spec.description, read_only=spec.read_only)
    if spec.choices:
        described.additional_constraints = f'one of: {", ".join(spec.choices)}'
    if spec.low is None or spec.high is None:
        return described
    if isinstance(spec.default, int):
        whole = IntegerRange(from_value=int(spec.low), to_value=int(spec.high))
        described.integer_range = [whole]
    else:
        real = FloatingPointRange(from_value=float(spec.low), to_value=float(spec.high))
        described.floating_point_range = [real]
    return described


def log_of(node: Node, camera: str) -> RcutilsLogger:
    """Where what concerns one camera is told; the node's own log where the name is empty."""
    return node.get_logger().get_child(camera) if camera else node.get_logger()


def value(node: Node, name: str) -> Any:
    """Current value; a list of texts comes without empty ones."""
    current = node.get_parameter(name).value
    if isinstance(current, (list, tuple)) and all(isinstance(item, str) for item in current):
        return [item for item in current if item]
    return current
