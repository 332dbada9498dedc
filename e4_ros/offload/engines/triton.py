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

"""A network in a Triton server: frames are prepared and boxes decoded here, the rest runs there.

What the server offers is checked before it is used: names, types and sizes of the tensors, and on
an example whether it computes what the bundle computes. A Triton cannot say which weights it has.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort

from e4_ros import extras
from e4_ros.offload.engines.base import EngineError
from e4_ros.vision.bundle.join import joined
from e4_ros.vision.detections import Detections
from e4_ros.vision.runtime.device_check import difference, example
from e4_ros.vision.staged_network import StagedNetwork

_TOLERANCE = 5e-2  # of an output's largest value: half precision may be used there
_CHECK_S, _LONGEST_S = 5.0, 5.0
_MOST_AT_ONCE = 8


class TritonEngine:
    """Asks a Triton server by gRPC.

    Args:
        network: the network that the server has, as a bundle holds it.
        address: ``host:port`` of its gRPC port, which is 8001 by default.
        model: name of the model there; `triton_name` if left out.
        version: version of the model; the server's choice if left out.
        check_s: seconds that a check may take; the first run of a model there may be slow.

    Raises:
        MissingExtraError: tritonclient is not installed.
        EngineError: there is no server, or it has not that network.
    """

    def __init__(
        self,
        network: StagedNetwork,
        address: str,
        model: str = '',
        version: str = '',
        check_s: float = _CHECK_S,
    ) -> None:
        extras.require('triton', 'a Triton server')
        import tritonclient.grpc as grpc

        self._grpc, self._address, self._version = grpc, address, version
        self._network = joined(network)
        self._model, self._name = network.model, model or triton_name(network)
        self._check_s, self._lock, self._checked = check_s, threading.Lock(), False
        self._checking: threading.Thread | None = None
        self._outputs = tuple(self._network.stages[-1].program.outputs)
        self._wanted, self._expected = example_run(self._network)
        # Channels of the same address are shared unless they are told apart.
        self._client: Any = grpc.InferenceServerClient(
            address, channel_args=[('grpc.use_local_subchannel_pool', 1)]
        )
        self.largest_batch = 1
        try:
            self._check()
        except EngineError:
            self.close()
            raise

    @property
    def where(self) -> str:
        """Which server and model."""
        return f'by the model {self._name} of the Triton server {self._address}'

    def answers(
        self, frames: Sequence[np.ndarray], min_score: float, left_s: float = math.inf
    ) -> list[Detections]:
        """See `Engine`; after a failure the server is checked anew, beside the requests."""
        end_s = time.monotonic() + min(left_s, _LONGEST_S)
        if not self._checked:
            self._check_beside()
            raise EngineError(f'the Triton server {self._address} is being checked anew')
        found: list[Detections] = []
        while len(found) < len(frames):
            some = frames[len(found) : len(found) + self.largest_batch]
            inputs = np.concatenate([self._model.preprocess(frame) for frame in some])
            outputs = self._infer(inputs, end_s - time.monotonic())
            for row, frame in enumerate(some):
                one = {name: values[row : row + 1] for name, values in outputs.items()}
                found.append(self._model.decode(one, frame.shape, min_score))
        return found

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _check_beside(self) -> None:
        with self._lock:
            if self._checking is None or not self._checking.is_alive():
                self._checking = threading.Thread(target=self._try_check, daemon=True)
                self._checking.start()

    def _try_check(self) -> None:
        with contextlib.suppress(EngineError):  # the next request begins another
            self._check()

    def _check(self) -> None:
        """Compare what the server offers with the network.

        Raises:
            EngineError: says what does not fit.
        """
        about = self._ask(
            'get_model_metadata', self._name, self._version, client_timeout=self._check_s
        )
        config = self._ask(
            'get_model_config', self._name, self._version, client_timeout=self._check_s
        ).config
        inputs = {each.name: each for each in about.inputs}
        outputs = {each.name: each for each in about.outputs}
        if list(inputs) != ['x']:
            raise self._other(f'its inputs are {", ".join(inputs) or "none"}, and not x alone')
        if missing := [name for name in self._outputs if name not in outputs]:
            raise self._other(
                f'it has no output {", ".join(missing)}, only {", ".join(outputs) or "none"}'
            )
        self.largest_batch = _batch(list(inputs['x'].shape), config.max_batch_size)
        for name, each in [('x', inputs['x']), *((n, outputs[n]) for n in self._outputs)]:
            shape = self._wanted.shape if name == 'x' else self._expected[name].shape
            if each.datatype != 'FP32':
                raise self._other(f'{name} is {each.datatype} there, and FP32 here')
            if not _fits(list(each.shape), shape):
                raise self._other(f'{name} has the shape {list(each.shape)} there, {shape} here')
        found = self._infer(self._wanted, self._check_s)
        for name, expected in self._expected.items():
            off = difference(found[name], expected)
            if not off <= _TOLERANCE:
                raise self._other(
                    f'on an example its output {name} is off by {off:.2g} of the largest value: '
                    'other weights, or another preprocessing'
                )
        self._checked = True

    def _infer(self, inputs: np.ndarray, left_s: float) -> dict[str, np.ndarray]:
        if left_s <= 0:
            raise EngineError('the time for an answer was over before Triton was asked')
        slot = self._grpc.InferInput('x', list(inputs.shape), 'FP32')
        slot.set_data_from_numpy(np.ascontiguousarray(inputs))
        answer = self._ask(
            'infer',
            self._name,
            [slot],
            self._version,
            outputs=[self._grpc.InferRequestedOutput(name) for name in self._outputs],
            # The first is for Triton, which may drop what is overdue, the second for the call.
            timeout=max(int(left_s * 1e6), 1),
            client_timeout=left_s,
        )
        found = {}
        for name in self._outputs:
            try:
                values = answer.as_numpy(name)
            except Exception as error:  # bytes that are no such array
                raise self._other(f'its output {name} cannot be read ({error})') from error
            shape = (len(inputs), *self._expected[name].shape[1:])
            if values is None or values.shape != shape or values.dtype != np.float32:
                got = 'nothing' if values is None else f'{values.shape} of {values.dtype}'
                raise self._other(f'its output {name} is {got}, and not {shape} of float32')
            if not np.isfinite(values).all():
                raise self._other(f'its output {name} holds what is no number')
            found[name] = values
        return found

    def _ask(self, what: str, *args: Any, **options: Any) -> Any:
        try:
            return getattr(self._client, what)(*args, **options)
        except Exception as error:  # tritonclient raises its own, gRPC's, and ValueErrors
            status = getattr(error, 'status', None)
            if status is None or 'DEADLINE_EXCEEDED' not in str(status()):
                self._checked = False  # a short deadline alone says nothing of the server
            reason = str(error).strip().splitlines()[0][:200]
            raise EngineError(
                f'the Triton server {self._address} does not answer {what} for the model '
                f'{self._name}: {reason}. Is it there, with its gRPC port (8001), and the model '
                'loaded?'
            ) from error

    def _other(self, reason: str) -> EngineError:
        self._checked = False
        return EngineError(
            f'the model {self._name} of the Triton server {self._address} is not the network of '
            f'the bundle: {reason}'
        )


def triton_name(network: StagedNetwork) -> str:
    """Name of a network's model in a Triton server: its own, as the name of a folder."""
    return network.model.name.replace('/', '_')


def example_run(network: StagedNetwork) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
    """An input, and what the network makes of it.

    Args:
        network: a network in one stage.

    Returns:
        ``x``, and the outputs by name.
    """
    program = network.stages[0].program
    given = example(tuple(program.inputs['x']))
    session = ort.InferenceSession(program.onnx(), providers=['CPUExecutionProvider'])
    names = list(program.outputs)
    return given, dict(zip(names, session.run(names, {'x': given}), strict=True))


def _batch(shape: Sequence[int], most: int) -> int:
    """Frames that a model takes at once, from the shape of its input and its configuration."""
    if shape[:1] == [-1]:
        return min(most or _MOST_AT_ONCE, _MOST_AT_ONCE)
    return 1


def _fits(found: Sequence[int], wanted: tuple[int, ...]) -> bool:
    """Whether a shape, in which -1 is any length, is that of one frame."""
    return len(found) == len(wanted) and all(
        a in (-1, b) for a, b in zip(found, wanted, strict=True)
    )
