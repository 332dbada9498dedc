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

"""Which nodes run together: one table for `ros2 launch` and for `e4 up`, which needs no `launch`.

Every parameter of a node is an argument of the bringups that start it, made from its entry in
`bringup.node_parameters`; only what concerns several nodes, or the graph, is written here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from e4_ros.bringup.arguments import Argument, Values
from e4_ros.bringup.node_parameters import (
    dvfs_helper,
    obstacles,
    perception,
    profiler,
    recorder,
    replay,
    video_source,
)
from e4_ros.bringup.node_specs import Bringup, NodeEntry

_IMAGE = Argument(
    'image',
    'image',
    "Topic of the camera; image/compressed hangs below it. With cameras, a topic below each one's "
    'name, or one with {camera} where the name belongs.',
)
_CAMERA = '{camera}'
_CAMERAS = next(spec for spec in perception.PARAMETERS if spec.name == 'cameras')
_HELPER = Argument('helper', 'true', 'Start the DVFS daemon too, which steps the clocks.')
_SENSORS = (
    Argument('camera_info', 'camera_info', 'Calibration of the camera.'),
    Argument('depth', 'depth', 'Depth image, where mode is depth.'),
    Argument(
        'depth_camera_info',
        'depth/camera_info',
        "Calibration of the depth camera, where its frame is not the camera's.",
    ),
    Argument('points', 'points', 'Point cloud, where mode is cloud.'),
)


def _topics(values: Values) -> dict[str, str]:
    """Topic of each camera's images by its name in the node.

    Raises:
        ValueError: one topic is named for several cameras.
    """
    image = values['image']
    names = [name for name in _CAMERAS.parse(values.get('cameras') or '[]') if name]
    if len(names) > 1 and image.startswith('/') and _CAMERA not in image:
        raise ValueError(
            f'image:={image} is one topic, and cameras names {len(names)} cameras: write {_CAMERA} '
            f'where the name of the camera belongs, as in /{_CAMERA}/image_raw'
        )
    if not names:
        return {'image': image}
    one_of_each = image if _CAMERA in image or image.startswith('/') else f'{_CAMERA}/{image}'
    return {f'{name}/image': one_of_each.replace(_CAMERA, name) for name in names}


def _image(values: Values) -> dict[str, str]:
    return {
        f'{inside}{kind}': f'{outside}{kind}'
        for inside, outside in _topics(values).items()
        for kind in ('', '/compressed')
        if inside != outside
    }


def _sensors(values: Values) -> dict[str, str]:
    inside = {argument.name: argument.default for argument in _SENSORS}
    return {name: values[key] for key, name in inside.items() if values[key] != name}


def _patience(values: Values) -> float:
    """A daemon that starts beside perception may be the later of the two."""
    return 10.0 if values['helper'] == 'true' else 0.0


def _always(value: Any) -> Callable[[Values], Any]:
    return lambda _: value


_KEPT_IMAGES = 100
_ONE_CAMERA = {'cameras': _always([''])}
_DAEMON = NodeEntry('dvfs_helper', dvfs_helper.PARAMETERS, switch='helper')

_PERCEIVING = NodeEntry(
    'perception',
    perception.PARAMETERS,
    sets={'helper_wait_s': _patience},
    remappings=_image,
)

_PERCEPTION = Bringup(
    'perception',
    'Find objects in the images of one or several cameras, and step the clocks meanwhile.',
    (_IMAGE, _HELPER),
    (_DAEMON, _PERCEIVING),
)

_DEMO = Bringup(
    'demo',
    'A video as the camera, early exits, and the clocks of a simulated Jetson Orin Nano.',
    (Argument('out', 'out/demo', 'Folder for what the demo leaves.'), _HELPER),
    (
        NodeEntry(
            'recorder',
            recorder.PARAMETERS,
            sets={'output': lambda values: f'{values["out"]}/telemetry.mcap'},
        ),
        NodeEntry(
            'dvfs_helper',
            dvfs_helper.PARAMETERS,
            defaults={'board': 'jetson_orin_nano'},
            switch='helper',
        ),
        NodeEntry(
            'perception',
            perception.PARAMETERS,
            sets={
                'image_transport': _always('raw'),
                # Nothing may get lost between our processes, though one stands still for seconds.
                'reliability': _always('reliable'),
                'qos_overrides./image.subscription.depth': _always(_KEPT_IMAGES),
                'helper_wait_s': _patience,
                **_ONE_CAMERA,
            },
            defaults={'baseline_every': '1'},  # its tracker sees every image, as ours does
        ),
        NodeEntry(
            'video_source',
            video_source.PARAMETERS,
            sets={
                'wait_for_subscriber': _always('image'),
                'exit_at_end': _always(True),
                'qos_overrides./image.publisher.depth': _always(_KEPT_IMAGES),
                'stamps_file': lambda values: f'{values["out"]}/stamps.csv',
            },
            defaults={'source': 'vtest'},
            last=True,
        ),
    ),
)

_REPLAY = Bringup(
    'replay',
    'Play a bag with its own stamps, and find objects in its images.',
    (_HELPER,),
    (
        _DAEMON,
        NodeEntry(
            'perception',
            perception.PARAMETERS,
            sets={
                'reliability': _always('reliable'),
                'helper_wait_s': _patience,
                **_ONE_CAMERA,
            },
            defaults={'image_transport': 'auto'},  # the bag knows how its images are packed
        ),
        NodeEntry(
            'replay',
            replay.PARAMETERS,
            sets={
                # The player makes the time that the others take from /clock.
                'use_sim_time': _always(False),
                'clock': lambda values: values['use_sim_time'] == 'true',
                'wait_for_subscriber': _always(True),
                'exit_at_end': _always(True),
            },
            last=True,
        ),
    ),
)

_PROFILE = Bringup(
    'profile',
    'The profiler, whose action ~/profile searches a frequency plan.',
    (),
    (NodeEntry('profiler', profiler.PARAMETERS),),
)

_NAVIGATION = Bringup(
    'navigation',
    'Find objects in the images of a camera and place them in metres, for navigation.',
    (_IMAGE, _HELPER, *_SENSORS),
    (
        _DAEMON,
        replace(_PERCEIVING, sets={**_PERCEIVING.sets, **_ONE_CAMERA}),
        NodeEntry('obstacles', obstacles.PARAMETERS, remappings=_sensors),
    ),
)

BRINGUPS = {
    bringup.name: bringup for bringup in (_PERCEPTION, _NAVIGATION, _DEMO, _REPLAY, _PROFILE)
}
