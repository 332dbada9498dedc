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

"""A bringup as a description for `ros2 launch`. Needs launch and launch_ros."""

from __future__ import annotations

from launch import Action, LaunchContext, LaunchDescription  # type: ignore[attr-defined]
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from e4_ros.bringup.arguments import Argument, Values
from e4_ros.bringup.bringups import BRINGUPS
from e4_ros.bringup.node_specs import Bringup, NodeSpec


def describe(name: str) -> LaunchDescription:
    """Launch description of the bringup called ``name``, every argument described."""
    bringup = BRINGUPS[name]

    def start(context: LaunchContext) -> list[Node]:
        values = {
            argument.name: LaunchConfiguration(argument.name).perform(context)
            for argument in bringup.all_arguments
        }
        return to_actions(bringup, values)

    arguments = [_declare(argument) for argument in bringup.all_arguments]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])


def to_actions(bringup: Bringup, values: Values) -> list[Node]:
    """Launch actions of the bringup's nodes.

    Raises:
        ValueError: a text is none for its argument; nothing has started then.
    """
    texts = bringup.texts(values)
    return [_to_action(spec, texts) for spec in bringup.specs(texts)]


class NodeFailed(RuntimeError):  # noqa: N818
    """A node ended that the others need; `ros2 launch` stops them and ends with 1."""


def _to_action(spec: NodeSpec, values: Values) -> Node:
    respawn = values['use_respawn'] == 'true' and not spec.last

    def on_exit(event: ProcessExited, context: LaunchContext) -> list[Action] | None:
        if context.is_shutdown:
            return None
        if event.returncode and spec.required and not respawn:
            # Launch ends with 0 whatever its processes end with, but for an exception of its own.
            raise NodeFailed(f'{spec.executable} ended with exit code {event.returncode}')
        return [Shutdown(reason=f'{spec.executable} is done')] if spec.last else None

    return Node(
        package='e4_ros',
        executable=spec.executable,
        name=spec.executable,
        namespace=values['namespace'],
        parameters=[values['params_file'], dict(spec.parameters)],
        remappings=list(spec.remappings.items()),
        ros_arguments=['--log-level', values['log_level']],
        output='screen',
        respawn=respawn,
        respawn_delay=1.0,
        sigterm_timeout='15',  # a loaded robot takes its time to give everything back
        on_exit=on_exit,
    )


def _declare(argument: Argument) -> DeclareLaunchArgument:
    # An empty text leaves the parameter open, so it is always among the choices.
    return DeclareLaunchArgument(
        argument.name,
        default_value=argument.default,
        description=argument.description,
        choices=['', *argument.choices] if argument.choices else None,
    )
