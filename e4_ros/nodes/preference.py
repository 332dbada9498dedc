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

"""What the application weighs, as a service says it; and how full the battery is."""

from __future__ import annotations

import math
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import LifecycleState, ManagedEntity, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from rclpy.service import Service
from rclpy.subscription import Subscription
from sensor_msgs.msg import BatteryState

from e4_ros.nodes.diagnostics import status
from e4_ros.nodes.parameters import E4Node, value
from e4_ros.perception.preference import charge_of, weights_of, with_battery
from e4_ros.srv import SetPreference


class Preference(ManagedEntity):
    """Offers `~/set_preference`, which sets the parameter `preference`, and listens to a battery.

    Args:
        node: perception; has the parameters.
        charged: called with each charge of the battery that says something, 0 to 1.
    """

    def __init__(self, node: E4Node, charged: Callable[[float], None]) -> None:
        self._node, self._charged = node, charged
        self._charge, self._problem = math.nan, ''
        self._service: Service | None = node.create_service(
            SetPreference, '~/set_preference', self._set
        )
        self._battery: Subscription | None = None
        if topic := value(node, 'battery_topic'):
            self._battery = node.create_subscription(
                BatteryState, topic, self._hear, qos_profile_sensor_data
            )

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take both away."""
        if self._service is not None:
            self._node.destroy_service(self._service)
        if self._battery is not None:
            self._node.destroy_subscription(self._battery)
        self._service = self._battery = None
        return super().on_cleanup(state)

    def status(self) -> DiagnosticStatus:
        """What is weighed, with the battery and without."""
        weights = weights_of(value(self._node, 'preference'))
        now = with_battery(weights, self._charge, value(self._node, 'battery_reserve'))
        values = {
            'accuracy': f'{now.accuracy:.3f}',
            'latency': f'{now.latency:.3f}',
            'energy': f'{now.energy:.3f}',
            'asked': ', '.join(f'{w:.3f}' for w in vars(weights).values()),
            'battery': 'unknown' if math.isnan(self._charge) else f'{self._charge:.3f}',
        }
        words = 'the battery is low, so energy weighs more' if now != weights else 'as asked'
        return status('preference', self._problem, words, values)

    def _set(
        self, request: SetPreference.Request, response: SetPreference.Response
    ) -> SetPreference.Response:
        given = [request.accuracy, request.latency, request.energy]
        try:
            weights = weights_of(given)
        except ValueError as error:
            response.success, response.message = False, str(error)
            return response
        parameter = Parameter('preference', Parameter.Type.DOUBLE_ARRAY, given)
        result = self._node.set_parameters([parameter])[0]
        response.success, response.message = result.successful, result.reason
        if result.successful:
            response.message = (
                f'accuracy {weights.accuracy:.3f}, latency {weights.latency:.3f}, '
                f'energy {weights.energy:.3f}'
            )
        return response

    def _hear(self, message: BatteryState) -> None:
        capacity = message.capacity if message.capacity > 0 else message.design_capacity
        charge = charge_of(message.percentage, message.charge, capacity)
        if math.isnan(charge):
            self._problem = (
                f'the battery says a charge of {message.percentage:g}, which is none from 0 to 1, '
                'and so changes nothing'
            )
            return
        self._charge, self._problem = charge, ''
        self._charged(charge)
