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

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from e4_ros.energy.virtual.mount import mount_problem

# Before torch is imported, here or in a process that a test starts: small networks gain nothing
# from a second thread, and on a busy machine they wait for it.
os.environ.setdefault('OMP_NUM_THREADS', '1')


_CAPABILITIES = {'chown': 0, 'dac_override': 1, 'fowner': 3, 'kill': 5}
_CAPABILITIES |= {'setgid': 6, 'setuid': 7, 'setpcap': 8}


@functools.cache
def _why_nobody_else() -> str | None:
    """Why no process can become another user here; found out by one that tries."""
    status = Path('/proc/self/status').read_text()
    held = int(status.partition('CapEff:')[2].split()[0], 16)
    if missing := [name for name, bit in _CAPABILITIES.items() if not held >> bit & 1]:
        return f'no capability {", ".join(missing)}'
    # A user namespace need not have these numbers.
    program = 'import os; os.setgroups([]); os.setgid(54321); os.setuid(54322)'
    tried = subprocess.run(
        [sys.executable, '-ISc', program], capture_output=True, text=True, check=False
    )
    return None if tried.returncode == 0 else tried.stderr.strip().splitlines()[-1]


@pytest.fixture(autouse=True)
def _own_state(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What nodes keep for their next start is not the next test's, nor this machine's."""
    name = f'state-{abs(hash(request.node.nodeid)):x}'
    monkeypatch.setenv('E4_STATE', str(tmp_path_factory.getbasetemp() / name))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker('fuse') and (reason := mount_problem()):
        pytest.skip(f'no FUSE here: {reason}')
    if item.get_closest_marker('other_user') and (reason := _why_nobody_else()):
        pytest.skip(f'nobody can become another user here: {reason}')


@pytest.fixture(scope='session')
def clip_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained clip model as a bundle: windows of 1 s, 4 frames, a gate that never stops."""
    import torch

    from e4_ros.vision.clips.backbone import ClipBackbone
    from e4_ros.vision.clips.build import build_clip_bundle
    from e4_ros.vision.clips.clip_model import ClipModel
    from e4_ros.vision.clips.gates import CascadeGate
    from e4_ros.vision.clips.net import ClipNet, NetSettings
    from e4_ros.vision.zoo import load_model

    torch.manual_seed(0)
    backbone = ClipBackbone(load_model('torchvision/mobilenet_v3_small', 'random'), threads=1)
    settings = NetSettings(backbone.deep_size, 3, frames=4)
    model = ClipModel(
        ClipNet(settings).eval(), CascadeGate(settings).eval(), ['left', 'right', 'still'], 2.0
    )
    folder = tmp_path_factory.mktemp('clips') / 'bundle'
    build_clip_bundle(backbone, model, 1.0, folder, {'dataset': 'none'})
    return folder


@pytest.fixture(scope='session')
def exits_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pedestrian detector with exits that nobody trained: `temporal` and `exit1`, with gates.

    An untrained gate says about one half, so that `temporal` answers all frames but a stream's
    first, and `exit1` none: thresholds of 0.2 and 0.9.
    """
    import torch

    from e4_ros.vision.exit_checkpoint import Checkpoint, Exit
    from e4_ros.vision.export.build import build_bundle
    from e4_ros.vision.nets.exit_gate import ExitGate
    from e4_ros.vision.nets.heads import GridHead
    from e4_ros.vision.nets.temporal_net import TemporalNet
    from e4_ros.vision.zoo import load_model

    torch.manual_seed(0)
    model = load_model('pedestrian_ssdlite')
    found = Exit('exit1', 'add_1', GridHead(32, 1).eval(), ExitGate(32).eval())
    fitted = Checkpoint(
        model.name,
        model.network.fingerprint,
        [found],
        TemporalNet(1).eval(),
        {'temporal': 0.2, 'exit1': 0.9},
    )
    folder = tmp_path_factory.mktemp('exits') / 'bundle'
    build_bundle(model, folder, fitted)
    return folder


@pytest.fixture(scope='session')
def real_model() -> Callable[[str], Path]:
    """Finds a detector that is not part of the package, by its file's name; skips without it."""

    def find(name: str) -> Path:
        file = Path(os.environ.get('E4_MODELS', '')) / name
        if not file.is_file():
            pytest.skip(f'E4_MODELS names no folder with {name}')
        return file

    return find


@pytest.fixture(scope='session')
def lamp_detector() -> Callable[..., Path]:
    """Writes an ONNX detector whose answers are known: it finds bright squares.

    As from Ultralytics: ``images`` ``(1, 3, S, S)`` RGB 0 to 1, letterboxed; ``output0``
    ``(1, 4 + C, A)`` with centres and sizes in pixels of the input, and scores; names and the rest
    in its metadata. A cell of the grid of stride 16 is an object of the first class as far as it is
    white; strides 8 and 32 have cells and find nothing.
    """

    def write(path: Path, names: Sequence[str] = ('lamp', 'sun'), side: int = 64) -> Path:
        import numpy as np
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        parts, boxes, nodes, constants = [], [], [], {}
        constants['grey'] = np.full((1, 3, 1, 1), 1 / 3, np.float32)
        nodes.append(helper.make_node('Conv', ['images', 'grey'], ['brightness']))
        for stride in (8, 16, 32):
            count = side // stride
            constants[f'flat{stride}'] = np.array([1, 1, count * count])
            constants[f'worth{stride}'] = np.float32(1 if stride == 16 else 0.05)
            nodes += [
                helper.make_node('AveragePool', ['brightness'], [f'mean{stride}'],
                                 kernel_shape=[stride] * 2, strides=[stride] * 2),
                helper.make_node('Reshape', [f'mean{stride}', f'flat{stride}'], [f'row{stride}']),
                helper.make_node('Mul', [f'row{stride}', f'worth{stride}'], [f'part{stride}']),
            ]  # fmt: skip
            parts.append(f'part{stride}')
            rows, columns = np.mgrid[:count, :count].reshape(2, -1)
            whole = np.full(count * count, stride)
            centres = ((columns + 0.5) * stride, (rows + 0.5) * stride)
            boxes.append(np.stack([*centres, whole, whole]))
        constants['half'], constants['two'] = np.float32(0.5), np.float32(2)
        constants['boxes'] = np.concatenate(boxes, 1)[None].astype(np.float32)
        constants['first'] = np.eye(1, len(names), dtype=np.float32).reshape(1, -1, 1)
        constants['zero'], constants['one'] = np.float32(0), np.float32(1)
        nodes += [
            helper.make_node('Concat', parts, ['found'], axis=2),
            helper.make_node('Sub', ['found', 'half'], ['above']),
            helper.make_node('Mul', ['above', 'two'], ['doubled']),
            helper.make_node('Clip', ['doubled', 'zero', 'one'], ['score']),
            helper.make_node('Mul', ['score', 'first'], ['scores']),
            helper.make_node('Concat', ['boxes', 'scores'], ['output0'], axis=1),
        ]
        anchors = constants['boxes'].shape[2]
        graph = helper.make_graph(
            nodes, 'lamps',
            [helper.make_tensor_value_info('images', TensorProto.FLOAT, [1, 3, side, side])],
            [helper.make_tensor_value_info('output0', TensorProto.FLOAT,
                                           [1, 4 + len(names), anchors])],
            [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
        about = {'task': 'detect', 'stride': '32', 'imgsz': str([side, side])}
        helper.set_model_props(model, about | {'names': str(dict(enumerate(names)))})
        onnx.checker.check_model(model)
        onnx.save(model, path)
        return path

    return write
