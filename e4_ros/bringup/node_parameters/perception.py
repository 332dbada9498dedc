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

"""The parameters of perception."""

from __future__ import annotations

from e4_ros.bringup.node_parameters.common import AUTOSTART, DIAGNOSTICS_PERIOD
from e4_ros.bringup.parameter_spec import ParameterSpec
from e4_ros.offload.request import AUTO as AUTO_OFFLOAD
from e4_ros.offload.request import GO_ON, MEANWHILE, NONE, TRIED
from e4_ros.perception.controllers import FIXED, controllers
from e4_ros.perception.images import DEFAULT_MAX_PIXELS
from e4_ros.perception.preference import DEFAULT_RESERVE
from e4_ros.perception.ring_schedule import DEFAULT_SHARE
from e4_ros.vision.inference.closer import DEFAULT_QUALITY, QUALITIES
from e4_ros.vision.inference.exit_thresholds import DEFAULT_RISK
from e4_ros.vision.runtime.devices import ALLOW_SPINNING, AUTO, NAMES, SPIN_US
from e4_ros.vision.runtime.precision import PRECISIONS

PARAMETERS = (
    AUTOSTART,
    ParameterSpec(
        'model',
        'pedestrian_ssdlite',
        'Network: a name, an ONNX file, or the folder of a bundle from `e4 build` or `e4 fit`. '
        'What a file does not say of itself, such as the names of its classes, stands in a .yaml '
        'of the same name beside it: docs/models.md. `e4 models` says what a file is taken for.',
    ),
    ParameterSpec(
        'versions',
        [''],
        'Further versions of the model, all loaded, of which one answers: each is '
        '[NAME=]BUNDLE[@PRECISION], or int8 or fp16 for the model itself in it, and has the same '
        'classes. A controller that chooses among them (infer_edge) goes by preference. See '
        'docs/versions.md.',
    ),
    ParameterSpec(
        'versions_file',
        '',
        'What `e4 versions` measured of them: the versions.yaml that it writes. Without it nobody '
        'knows how right they are, and the model itself answers.',
    ),
    ParameterSpec(
        'preference',
        [1.0, 1.0, 1.0],
        'What the application weighs: accuracy, latency and energy, in proportion to their sum. '
        'May be set while running, also by ~/set_preference; controllers infer_edge follow it.',
        live=True,
    ),
    ParameterSpec(
        'battery_topic',
        '',
        'Topic of the battery (sensor_msgs/BatteryState), such as /battery_state: as its charge '
        'falls below battery_reserve, energy weighs more. Empty: none.',
    ),
    ParameterSpec(
        'battery_reserve',
        DEFAULT_RESERVE,
        'Charge, 0 to 1, below which energy takes over the weight of accuracy and latency, all of '
        'it when the battery is empty; 0: it never does.',
        0.0,
        1.0,
    ),
    ParameterSpec(
        'controller',
        'e4',
        'Decides how deep frames go and at which clocks. e4: the first exit that is trusted, and '
        "planned clocks; exits: those exits, the kernel's clocks; plan: the whole network, planned "
        "clocks; full: the whole network, the kernel's clocks; fixed:max, fixed:min, fixed:best, "
        'fixed:cpu=1.2GHz,gpu=612MHz: one point, with +exits early exits as well. `e4 controllers` '
        'explains all of them.',
        choices=tuple(spec.name for spec in controllers().values() if spec.live),
        also=f'{FIXED}.+',
    ),
    ParameterSpec(
        'runtime',
        'onnxruntime',
        'What runs the network.',
        choices=('onnxruntime', 'torch'),
    ),
    ParameterSpec(
        'device',
        AUTO,
        'What computes the network. auto takes the best device that this machine has and that '
        'computes what the CPU computes; one by its name fails with the reason where auto would '
        'pass it over.',
        choices=NAMES,
    ),
    ParameterSpec(
        'precision',
        'fp32',
        "Of the network's stages. fp16 and int8 are made, measured and kept in the bundle by `e4 "
        'precision`, and refused where it has not kept them.',
        choices=PRECISIONS,
    ),
    ParameterSpec('threads', 0, 'CPU threads of the runtime; 0 for one per core.', 0, 256),
    ParameterSpec(
        'allow_spinning',
        ALLOW_SPINNING,
        'Let the threads of the runtime wait for work by spinning, within a frame only.',
    ),
    ParameterSpec(
        'spin_us',
        SPIN_US,
        'They spin for at most so many microseconds, then sleep; 0 for no bound, which takes the '
        'CPU from everybody else. docs/devices.md has the figures.',
        0,
        1_000_000,
    ),
    ParameterSpec(
        'min_score',
        0.3,
        'Score from which an object is reported. A track that was reported once is until its score '
        'has fallen to seven tenths of this.',
        0.0,
        1.0,
    ),
    ParameterSpec(
        'tracks',
        True,
        'Follow objects from frame to frame: detections have ids and velocities, and frames on '
        "which the tracks are sure need no network. false gives the network's own answers.",
    ),
    ParameterSpec(
        'risk',
        DEFAULT_RISK,
        'Mean loss (1 - F1) that tracks may cost a frame, against what the full network with the '
        'same tracker would have said. It is held on any stream: key frames come as often as that '
        'needs. docs/exits.md says why 0.12.',
        0.001,
        1.0,
    ),
    ParameterSpec(
        'quality',
        DEFAULT_QUALITY,
        'What is done beyond the key frames that the risk asks for: fast nothing, balanced and '
        'best look closer at the part of the picture that deserves it, up to one pass of the '
        'network on every second frame or on every frame.',
        choices=tuple(QUALITIES),
    ),
    ParameterSpec(
        'window_s',
        0.0,
        'Length in seconds of the windows in which a clip model looks at the stream; 0 for that of '
        'the clips that it learned from. Other models have no windows.',
        0.0,
        3600.0,
    ),
    ParameterSpec(
        'window_stride_s',
        0.0,
        'Seconds between the beginnings of two windows: fewer than window_s let them overlap, more '
        'leave pauses; 0 lets them tile the stream.',
        0.0,
        3600.0,
    ),
    ParameterSpec(
        'audit_share',
        0.05,
        'What audits may compute, as a share of what answers compute. An early answer of a '
        "detector is checked by the offline teacher's look, the whole frame and tiles of it: one "
        'pass of the network after each answer that is out, until all are done; of a classifier '
        'by the full network. An exit that proves worse than its bound is switched off until it '
        'is calibrated again; 0 checks nothing.',
        0.0,
        1.0,
    ),
    ParameterSpec(
        'check_pay',
        True,
        'Rest exits that cost more on this machine than they save, and try them again now and '
        'then.',
    ),
    ParameterSpec(
        'cameras',
        [''],
        'Names of several cameras, such as [front, rear], which share one network and one lease of '
        'the clocks. Each sends NAME/image, gets ~/NAME/detections, and is tracked for itself. '
        'Empty for one camera, without a name.',
    ),
    ParameterSpec(
        'camera_slo_ms',
        [''],
        'Service levels: milliseconds from the arrival of an image until its answer is late, one '
        'for each of cameras, such as [50, 100, 0], or one for all; 0 and empty: it never is. The '
        'image that is late first is next, one that cannot be in time is dropped and counted as '
        'too_late, and frames go no deeper than the time allows. docs/cameras.md.',
    ),
    ParameterSpec(
        'camera_models',
        [''],
        'A model for each of cameras, as in model; those of the same one share it. Empty: model '
        'for all. Other ones need a controller that leaves the clocks alone.',
    ),
    ParameterSpec(
        'image_transport',
        'raw',
        'raw subscribes image, compressed subscribes image/compressed, auto waits for a publisher '
        'of one of them.',
        choices=('raw', 'compressed', 'auto'),
    ),
    ParameterSpec(
        'reliability',
        'auto',
        'How images are subscribed: auto is reliable where every publisher of the topic is, else '
        'best_effort, which loses most large images. It stands in the place of the QoS override '
        'of that name.',
        choices=('auto', 'reliable', 'best_effort'),
    ),
    ParameterSpec(
        'skip_unneeded',
        False,
        'Drop images that ~/camera_rate says are not needed, before they are decoded, and count '
        'them as not_needed. They get no answer. A camera that follows the topic saves more.',
    ),
    ParameterSpec(
        'pair_within_s',
        0.0,
        'An image may wait so many seconds for the next, and both are answered back to back: half '
        'as many pauses, twice as long, in which boards with deep idle states draw less. The first '
        'answer of a pair is later by as much. 0: none waits. docs/energy.md has what it saves.',
        0.0,
        10.0,
    ),
    ParameterSpec(
        'camera_rate_min_hz',
        5.0,
        'Least images a second that ~/camera_rate may advise: what is new may wait for so long.',
        0.1,
        1000.0,
    ),
    ParameterSpec(
        'camera_rate_max_hz',
        30.0,
        'Most images a second that ~/camera_rate may advise; every image is needed then.',
        0.1,
        1000.0,
    ),
    ParameterSpec(
        'max_pixels',
        DEFAULT_MAX_PIXELS,
        'Images with more pixels are dropped; keeps a broken header from taking all memory.',
        1,
        2**31 - 1,
        live=True,
    ),
    ParameterSpec(
        'baseline_every',
        0,
        'Run the full network too on each n-th image, after its answer is out, and publish the '
        'result on ~/baseline; 0 for never.',
        0,
        1_000_000,
    ),
    ParameterSpec(
        'ring_mb',
        0,
        'Megabytes of disk for a ring of frames with their answers, from which the action ~/fit '
        'and `e4 fit --from-ring` learn; the oldest go first. 0, or 8 and more: 0 keeps nothing. '
        '200 hold some 1,500 frames of 640x480.',
        0,
        1_000_000,
    ),
    ParameterSpec(
        'ring_dir',
        '',
        "Folder of the ring; empty for one of this node's own under ~/.local/state/e4_ros.",
    ),
    ParameterSpec(
        'ring_share',
        DEFAULT_SHARE,
        'Share of the time that goes into the ring, in runs of two seconds; 1 keeps every frame.',
        0.01,
        1.0,
    ),
    ParameterSpec(
        'fit_options',
        [''],
        'Further options of `e4 fit` for the action ~/fit, such as [--steps, "500"].',
        live=True,
    ),
    ParameterSpec(
        'helper',
        'dvfs_helper',
        'Name of the DVFS daemon that steps the clocks. Where no such node runs, the daemon at the '
        "system's socket is asked (`e4 dvfs serve`). Empty to leave the clocks alone.",
    ),
    ParameterSpec(
        'cpus_needed',
        0,
        'How many CPUs this machine needs while perception holds its lease; the daemon may switch '
        'others off, as far as its parameter spare_cpus allows. 0: all.',
        0,
        4096,
    ),
    ParameterSpec('helper_retry_s', 2.0, 'Seconds between two tries for a lease.', 0.1, 3600.0),
    ParameterSpec(
        'helper_wait_s',
        0.0,
        'How long the first image may wait for a DVFS daemon that is not there yet, in seconds. '
        'The launch files that start the daemon too set it.',
        0.0,
        600.0,
    ),
    ParameterSpec(
        'plan_file',
        '',
        "Frequency plan (YAML) from `e4 profile` or the profiler; empty to plan on the board's "
        'model. May be set while running; a plan that does not fit is refused.',
        live=True,
    ),
    ParameterSpec(
        'table_file',
        '',
        'Measured costs: the table.json of `e4 profile --board here`. Plans that are made here '
        "count on them instead of the board's model. A table of another board, power mode, device "
        'or network is refused, and the diagnostics say so.',
    ),
    ParameterSpec(
        'deadline_s',
        0.0,
        'Longest latency that a plan made here may expect; 0 for three times the fastest, or nine '
        'tenths of the time between two frames where that is less. May be set while running; one '
        'that no clocks can meet is refused.',
        0.0,
        60.0,
        live=True,
    ),
    ParameterSpec(
        'plan_domains',
        ['cpu', 'gpu'],
        'What plans made here clock, as far as the daemon offers it. With emc they save more; the '
        'clock of the memory slows everything else on the machine, too.',
    ),
    ParameterSpec(
        'replan',
        True,
        'Plan again between frames when the exits drift, limits change or clocks are held down. A '
        'plan_file only gives way to limits.',
        live=True,
    ),
    ParameterSpec(
        'replan_gain',
        0.02,
        'Share of energy that a plan for drifted exits must save to replace the one in force.',
        0.0,
        1.0,
    ),
    ParameterSpec(
        'edge_server',
        '',
        'Edge server that computes for the robot, tcp/HOST:PORT or tls/HOST:PORT, several with '
        'commas (`e4 edge-server`, docs/offload.md). Perception never waits for it. Empty for '
        'none.',
    ),
    ParameterSpec('edge_name', 'e4', 'Name of the edge server.'),
    ParameterSpec(
        'edge_ca', '', "Certificate (PEM) of the authority that signed the server's, for tls/."
    ),
    ParameterSpec('edge_certificate', '', "The robot's own certificate (PEM), for tls/."),
    ParameterSpec('edge_key', '', 'Private key (PEM) of that certificate.'),
    ParameterSpec(
        'edge_offload',
        AUTO_OFFLOAD,
        'What the edge server is asked on key frames where the controller does not decide it: '
        'teacher, the offline teacher live; model, its bigger model; network and tail, what the '
        "robot's own network would say, from the picture or from a cut on; with /region only the "
        'part that the tracks are unsure about; auto, the best of what it has; none.',
        choices=(NONE, *TRIED),
    ),
    ParameterSpec(
        'edge_cuts',
        [''],
        'Cuts behind which features may be sent (`e4 edge-server --list-cuts`). Each costs the '
        "robot's network a few percent. Empty: the best one where edge_offload is tail, two where "
        'the controller decides it, else none.',
    ),
    ParameterSpec(
        'edge_bits', 8, "Bits of a feature's value on the way: 8, or 4 for half the bytes.", 4, 8
    ),
    ParameterSpec('edge_quality', 75, 'JPEG quality of what is sent.', 1, 100),
    ParameterSpec(
        'edge_deadline_s',
        0.1,
        'Seconds from the start of an image until an answer to it is late. Late answers still '
        'correct the tracks for a second.',
        0.001,
        10.0,
    ),
    ParameterSpec(
        'edge_meanwhile',
        GO_ON,
        'What the robot does after sending: go_on with its own network, whose answer is out '
        'where it is first; or follow, let the tracks answer until the deadline, which saves the '
        "network's energy.",
        choices=MEANWHILE,
    ),
    ParameterSpec(
        'radio_w',
        0.0,
        'Watts that the radio takes while it sends, to model the joules of sending; 0 models none. '
        'They are told apart from the measured ones.',
        0.0,
        999.0,
    ),
    DIAGNOSTICS_PERIOD,
)
