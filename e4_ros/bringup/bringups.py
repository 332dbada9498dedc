"""Which nodes run together: one table for `ros2 launch` and for `e4 up`, which needs no `launch`.

Arguments are texts, as launch arguments are; an empty one leaves a parameter to the params file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from e4_ros.bringup.node_specs import Argument, Bringup, NodeSpec, Values

_IMAGE = Argument('image', 'image', 'Topic of the camera; image/compressed hangs below it.')
_RELIABILITY = Argument(
    'reliability', '', 'best_effort (default) or reliable, which loses no large images on the way.'
)
_TRANSPORT = Argument('image_transport', '', 'raw or compressed.')
_MODEL = Argument('model', '', 'Network, by its name in the zoo.')
_POLICY = Argument('policy', '', 'e4 stops at the first exit it trusts, full never does.')
_PLAN = Argument('plan_file', '', 'Frequency plan from `e4 profile`; empty to plan here.')
_HELPER = Argument('helper', 'true', 'Start the DVFS helper too, which steps the clocks.')
_BOARD = Argument(
    'board', '', 'Simulated board for the helper; empty for the clocks of this machine.'
)
_ROOT = Argument(
    'sysfs_root', '', 'Folder of a board that `e4 virtual-board` serves, for its clocks instead.'
)


def _given(values: Values, *names: str) -> dict[str, Any]:
    """Parameters of those names that were given, as the types that they look like."""
    return {name: _typed(values[name]) for name in names if values.get(name)}


def _typed(text: str) -> Any:
    if text in ('true', 'false'):
        return text == 'true'
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _number(values: Values, name: str, kind: type[float]) -> float:
    try:
        return kind(values[name])
    except ValueError:
        raise ValueError(f'{name} is a number, not {values[name]!r}') from None


def _common(values: Values, lifecycle: bool = False) -> dict[str, Any]:
    return _given(values, 'use_sim_time', *(('autostart',) if lifecycle else ()))


def _reliability(values: Values) -> dict[str, str]:
    """QoS overrides, which go by the names that topics have in the graph."""
    image, wanted = values.get('image', 'image'), values.get('reliability', '')
    names = [values['namespace'].strip('/'), image] if not image.startswith('/') else [image[1:]]
    topic = '/' + '/'.join(filter(None, names))
    overrides = {
        f'qos_overrides.{name}.subscription.reliability': wanted
        for name in (topic, f'{topic}/compressed')
    }
    return overrides if wanted else {}


def _perception(values: Values, extra: Mapping[str, Any] | None = None) -> NodeSpec:
    image = values.get('image', 'image')
    return NodeSpec(
        'perception',
        {
            **_common(values, lifecycle=True),
            **_given(values, 'model', 'policy', 'plan_file', 'image_transport'),
            **_reliability(values),
            **(extra or {}),
        },
        {} if image == 'image' else {'image': image, 'image/compressed': f'{image}/compressed'},
    )


def _daemon(values: Values) -> list[NodeSpec]:
    if values['helper'] == 'false':
        return []
    parameters = {**_common(values, lifecycle=True), **_given(values, 'board', 'sysfs_root')}
    return [NodeSpec('dvfs_helper', parameters)]


def _perception_nodes(values: Values) -> list[NodeSpec]:
    return [*_daemon(values), _perception(values)]


_WHOLE = {'reliability': 'reliable'}  # nothing may get lost between the own processes


def _demo_nodes(values: Values) -> list[NodeSpec]:
    out, common = values['out'], _common(values)
    video = {
        'source': values['source'],
        'rate': _number(values, 'rate', float),
        'max_frames': _number(values, 'max_frames', int),
        'wait_for_subscriber': 'image',
        'exit_at_end': True,
        'stamps_file': f'{out}/stamps.csv',
    }
    baseline = {'baseline_every': _number(values, 'baseline_every', int)}
    return [
        NodeSpec('recorder', {**common, 'output': f'{out}/telemetry.mcap'}),
        *_daemon(values),
        _perception({**values, **_WHOLE}, baseline),
        NodeSpec('video_source', {**common, **video}, last=True),
    ]


def _replay_nodes(values: Values) -> list[NodeSpec]:
    replay = {
        'bag': values['bag'],
        'image_topic': values['image_topic'],
        'speed': _number(values, 'speed', float),
        'clock': values['use_sim_time'] == 'true',
        'wait_for_subscriber': True,
        **_given(values, 'loop', 'all_topics'),
        'exit_at_end': True,
    }
    # The player makes the time that the others take from /clock.
    return [
        *_daemon(values),
        _perception({**values, **_WHOLE}),
        NodeSpec('replay', replay, last=True),
    ]


def _profile_nodes(values: Values) -> list[NodeSpec]:
    parameters = {
        **_common(values, lifecycle=True),
        **_given(values, 'model', 'output_dir', 'apply_to'),
    }
    return [NodeSpec('profiler', parameters)]


BRINGUPS = {
    bringup.name: bringup
    for bringup in (
        Bringup(
            'perception',
            'Find objects in the images of a camera, and step the clocks meanwhile.',
            (_IMAGE, _TRANSPORT, _RELIABILITY, _MODEL, _POLICY, _PLAN, _HELPER, _BOARD, _ROOT),
            _perception_nodes,
        ),
        Bringup(
            'demo',
            'A video as the camera, early exits, and the clocks of a simulated Jetson Orin Nano.',
            (
                Argument('source', 'bikes', 'bikes, vtest, a video, a folder, a bag, /dev/videoN.'),
                Argument('out', 'out/demo', 'Folder for what the demo leaves.'),
                Argument('rate', '0', "Images a second; 0 for the video's own."),
                Argument('max_frames', '0', 'Stop after so many images; 0 for all.'),
                Argument('baseline_every', '3', 'Compare each n-th image with the full network.'),
                _MODEL,
                _POLICY,
                _PLAN,
                _HELPER,
                Argument('board', 'jetson_orin_nano', 'Simulated board, of config/boards.'),
            ),
            _demo_nodes,
        ),
        Bringup(
            'replay',
            'Play a bag with its own stamps, and find objects in its images.',
            (
                Argument('bag', '', 'ROS 2 bag: its folder, or one .mcap or .db3 file.'),
                Argument('image_topic', '', 'Topic of the images; empty for the only one.'),
                Argument('speed', '1', '2 plays twice as fast.'),
                Argument('loop', 'false', 'Start again at the end.'),
                Argument('all_topics', 'false', 'Play the other topics too.'),
                _TRANSPORT,
                _MODEL,
                _POLICY,
                _PLAN,
                _HELPER,
                _BOARD,
                _ROOT,
            ),
            _replay_nodes,
        ),
        Bringup(
            'profile',
            'The profiler, whose action ~/profile searches a frequency plan.',
            (
                _MODEL,
                Argument(
                    'output_dir', '', 'Folder for plans and pages; empty for a temporary one.'
                ),
                Argument('apply_to', '', 'Node that gets each plan found, such as perception.'),
            ),
            _profile_nodes,
        ),
    )
}
