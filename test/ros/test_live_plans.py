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

"""Plans that change while images come: perception, helper and camera over DDS, virtual board."""

from __future__ import annotations

import threading
import time
from array import array
from itertools import islice

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('e4_ros.msg', reason='the package is not built: make build')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from e4_ros.action import Profile  # noqa: E402
from e4_ros.msg import DvfsState, ExitTelemetry  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.action import ActionClient  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from e4_ros.energy.plan import FrequencyPlan  # noqa: E402
from e4_ros.evaluation.sources import open_source  # noqa: E402
from e4_ros.nodes.dvfs_helper import DvfsHelper  # noqa: E402
from e4_ros.nodes.perception import Perception  # noqa: E402
from e4_ros.nodes.profiler import Profiler  # noqa: E402

pytestmark = pytest.mark.ros

PATIENCE_S = 60.0
BOARD = 'jetson_nano'


def until(condition, why: str = 'it never came to that') -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, why
        time.sleep(0.01)


class Robot(Node):
    """A camera, and somebody who watches plans and telemetry."""

    def __init__(self, context) -> None:
        super().__init__('robot', context=context)
        self.telemetry: list[ExitTelemetry] = []
        self.plan = ''
        self.diagnostics: dict[str, str] = {}
        self._image = self.create_publisher(Image, 'image', 100)
        self._set = self.create_client(SetParameters, 'perception/set_parameters')
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(
            ExitTelemetry, 'perception/exit_telemetry', self.telemetry.append, 100
        )
        self.create_subscription(DvfsState, 'dvfs_helper/state', self._look, latched)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._read, 100)
        self._stamp = 1000.0

    def _look(self, state: DvfsState) -> None:
        self.plan = state.leases[0].plan if state.leases else ''

    def _read(self, message: DiagnosticArray) -> None:
        values = {}
        for status in message.status:
            values[status.name.rpartition(': ')[2]] = status.message
            values |= {pair.key: pair.value for pair in status.values}
        self.diagnostics = values

    def show(self, frame: np.ndarray, step_s: float = 0.1, camera: str = '') -> ExitTelemetry:
        """Publish an image and wait for what became of it."""
        self._stamp += step_s
        message = Image(height=frame.shape[0], width=frame.shape[1], encoding='rgb8')
        message.step = 3 * frame.shape[1]
        message.data = array('B', frame.tobytes())
        message.header.frame_id = camera
        message.header.stamp.sec = int(self._stamp)
        message.header.stamp.nanosec = int(self._stamp % 1 * 1e9)
        before = len(self.telemetry)
        self._image.publish(message)
        until(lambda: len(self.telemetry) > before, 'an image got no answer')
        return self.telemetry[-1]

    def set(self, **values):
        parameters = [Parameter(n, value=v).to_parameter_msg() for n, v in values.items()]
        future = self._set.call_async(SetParameters.Request(parameters=parameters))
        until(future.done)
        return future.result().results[0]

    def ready(self) -> bool:
        return self._image.get_subscription_count() == 1


@pytest.fixture
def graph(ros_context):
    """Starts nodes with parameters; a thread spins them all."""
    executor = SingleThreadedExecutor(context=ros_context)
    nodes: list[Node] = []

    def start(kind, **parameters):
        given = [Parameter(name.replace('__', '.'), value=v) for name, v in parameters.items()]
        node = kind(context=ros_context, parameter_overrides=given)
        nodes.append(node)
        executor.add_node(node)
        return node

    robot = Robot(ros_context)
    executor.add_node(robot)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    try:
        yield robot, start
    finally:
        executor.shutdown()
        thread.join()
        for node in reversed(nodes):
            if hasattr(node, 'stop'):
                node.stop()
            node.destroy_node()
        robot.destroy_node()


def perceive(start, robot, **parameters) -> Perception:
    node = start(
        Perception,
        threads=1,
        diagnostics_period_s=0.1,
        helper_retry_s=0.3,
        **{
            'reliability': 'reliable',
            'qos_overrides./image.subscription.depth': 100,
        },
        **parameters,
    )
    until(robot.ready)
    return node


@pytest.fixture(scope='module')
def street():
    """Frames of a real street."""
    return [frame for _, frame in islice(open_source('bikes'), 120, 124)]


def test_images_wait_for_a_daemon_that_starts_later(graph, street):
    robot, start = graph
    start(Perception, threads=1, helper_wait_s=PATIENCE_S)
    time.sleep(1.0)
    assert not robot.ready()
    start(DvfsHelper, board=BOARD)
    until(robot.ready)
    assert robot.show(street[0]).plan_id


def test_images_wait_for_no_daemon_forever(graph):
    robot, start = graph
    start(Perception, threads=1, helper_wait_s=0.5)
    until(robot.ready)


def test_plans_change_while_images_come_and_none_is_lost(graph, street, tmp_path):
    robot, start = graph
    start(DvfsHelper, board=BOARD)
    perception = perceive(start, robot)
    first = robot.show(street[0])
    assert first.plan_id
    live = perception._steps._link.live
    until(lambda: robot.plan == live.active.plan.name)
    begin = live.active.plan

    # A plan file that fits.
    point = begin.paths['full'].points[0] | {'gpu': 614_400_000}
    paths = {
        name: path.model_copy(update={'points': [point] * len(path.segments)})
        for name, path in begin.paths.items()
    }
    mine = begin.model_copy(update={'name': 'mine', 'paths': paths})
    mine.save(tmp_path / 'mine.yaml')
    camera = threading.Event()
    shown: list[ExitTelemetry] = []

    def film() -> None:
        while not camera.is_set():
            shown.append(robot.show(street[len(shown) % 4]))

    thread = threading.Thread(target=film)
    thread.start()
    try:
        assert robot.set(plan_file=str(tmp_path / 'mine.yaml')).successful
        until(lambda: robot.plan == 'mine')
        until(lambda: robot.diagnostics.get('plan_name') == 'mine')
        assert robot.diagnostics['plan_why'] == f'from {tmp_path}/mine.yaml'
        new_id = robot.diagnostics['plan_id']

        # Files that do not fit, each refused with its reason.
        for change, says in (
            ({'board': 'jetson_tx2'}, 'made for board'),
            ({'model': 'other'}, 'made for model'),
            ({'segments': [*begin.segments[:-1], 'elsewhere']}, 'is cut into'),
        ):
            mine.model_copy(update=change).save(tmp_path / 'bad.yaml')
            result = robot.set(plan_file=str(tmp_path / 'bad.yaml'))
            assert not result.successful
            assert says in result.reason
        result = robot.set(plan_file=str(tmp_path / 'missing.yaml'))
        assert not result.successful
        assert 'No such file' in result.reason
        assert robot.plan == 'mine'

        # A deadline, impossible and possible, for the plan that comes when the file is taken away.
        result = robot.set(deadline_s=1e-4)
        assert not result.successful
        assert 'the fastest needs' in result.reason
        assert robot.set(deadline_s=0.07).successful
        assert robot.set(plan_file='').successful
        until(lambda: '70 ms #' in robot.plan)
    finally:
        camera.set()
        thread.join()
    ids = [message.plan_id for message in shown]
    assert new_id in ids
    assert ids == sorted(ids, key=ids.index), 'each plan was in force once, in one piece'
    last = shown[-1]
    assert last.frames_dropped == 0
    assert last.frames_processed == len(shown) + 1


def test_a_plan_that_was_set_is_in_force_after_the_next_start_until_it_is_taken_away(
    graph, tmp_path
):
    robot, start = graph
    start(DvfsHelper, board=BOARD)
    perception = perceive(start, robot)
    begin = perception._steps._link.live.active.plan
    mine = begin.model_copy(update={'name': 'mine'})
    mine.save(tmp_path / 'mine.yaml')
    assert robot.set(plan_file=str(tmp_path / 'mine.yaml')).successful
    until(lambda: robot.plan == 'mine')
    (tmp_path / 'mine.yaml').unlink()

    def start_anew(**parameters) -> Perception:
        node.stop()
        until(lambda: not robot.ready())
        node.destroy_node()
        return perceive(start, robot, **parameters)

    node = perception
    node = start_anew()
    assert node._steps._link.live.active.plan.name == 'mine'
    begin.model_copy(update={'name': 'given'}).save(tmp_path / 'given.yaml')
    node = start_anew(plan_file=str(tmp_path / 'given.yaml'))
    assert node._steps._link.live.active.plan.name == 'given'
    node = start_anew()
    assert node._steps._link.live.active.plan.name == 'mine'

    # For other files of the network, or another power mode: left out.
    about = node._steps._kept.path.with_suffix('.json')
    text = about.read_text()
    about.write_text(text.replace('"bundle": "', '"bundle": "0'))
    node = start_anew()
    assert node._steps._link.live.active.plan.name != 'mine'
    about.write_text(text)
    # Of another network by now: left out.
    kept = node._steps._kept.path
    mine.model_copy(update={'model': 'other'}).save(kept)
    node = start_anew()
    assert node._steps._link.live.active.plan.name != 'mine'
    mine.save(kept)
    assert robot.set(plan_file='').successful
    node = start_anew()
    assert node._steps._link.live.active.plan.name != 'mine'


def test_a_mix_of_exits_that_changes_brings_a_new_plan(graph):
    robot, start = graph
    # Without a deadline the pace is the bound, and a plan for it differs from the first.
    start(DvfsHelper, board=BOARD)
    perception = perceive(start, robot, replan_gain=0.0)
    noise = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    robot.show(noise)
    live = perception._steps._link.live
    before = live.active
    # A busy machine may change its pace first, and is then planned for by its own mix of exits.
    reasons = {'the exits drifted', 'the pace of the frames changed'}
    for index in range(300):  # each begins a stream, and needs all stages
        telemetry = robot.show(noise, -0.1, f'camera{index}')
        assert telemetry.exit_name == 'full'
        if live.active.why in reasons:
            break
    assert live.active.why in reasons
    until(lambda: robot.plan == live.active.plan.name)
    until(lambda: robot.diagnostics.get('plan_why') == live.active.why)
    assert float(robot.diagnostics['plan_share.full']) > 0.5  # where it began
    assert robot.show(noise).plan_id == live.active.id != before.id


def test_a_limit_of_the_helper_is_respected(graph, street):
    robot, start = graph
    start(DvfsHelper, board=BOARD, limits=['gpu=76800000..307200000'])
    perceive(start, robot)
    until(lambda: '#1' in robot.plan)
    seen = [robot.show(frame) for frame in street]
    points = [s.point for message in seen for s in message.segments]
    clocks = [dict(zip(p.domains, p.frequencies_hz, strict=True)) for p in points]
    assert max(clock['gpu'] for clock in clocks) <= 307_200_000


def test_a_cap_that_others_lower_in_a_lease_is_planned_for(graph, street):
    robot, start = graph
    helper = start(DvfsHelper, board=BOARD)
    perception = perceive(start, robot)
    until(lambda: '#1' in robot.plan)
    live = perception._steps.live
    table = live.tables['gpu']
    cap = next(helper._served.config.root.glob('sys/class/devfreq/*/max_freq'))
    with cap.open('r+') as file:
        file.write(f'{table[0]}\n')
        file.truncate()
    until(lambda: live.tables['gpu'] == table[:1])

    def highest():
        robot.show(street[0])
        paths = live.active.plan.paths.values()
        return max(point['gpu'] for path in paths for point in path.points)

    until(lambda: highest() == table[0])
    assert int(cap.read_text()) == table[0]


def test_what_the_profiler_finds_is_applied(graph, tmp_path):
    robot, start = graph
    start(DvfsHelper, board=BOARD)
    perceive(start, robot)
    start(Profiler, output_dir=str(tmp_path), yardstick=False, apply_to='perception')
    client = ActionClient(robot, Profile, 'profiler/profile')
    until(client.server_is_ready)
    goal = Profile.Goal(exit_names=['track', 'full'], exit_shares=[0.5, 0.5])

    def profile():
        for _ in range(100):
            sent = client.send_goal_async(goal)
            until(sent.done)
            if sent.result().accepted:
                result = sent.result().get_result_async()
                until(result.done)
                return result.result().result
            time.sleep(0.1)
        raise AssertionError('the profiler takes no goal')

    result = profile()
    assert result.success, result.message
    assert 'applied by perception' in result.message
    found = FrequencyPlan.load(result.plan_path)
    until(lambda: robot.plan == found.name)

    goal.board = 'jetson_tx2'
    result = profile()
    assert not result.success
    assert 'perception refuses it' in result.message
    assert "made for board 'jetson_tx2'" in result.message
    assert result.plan_path, 'the plan is there all the same'
    assert robot.plan == found.name
