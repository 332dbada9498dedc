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

"""A server that speaks Triton's protocol (KServe v2 over gRPC) with ONNX Runtime behind it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import numpy as np
import onnxruntime as ort
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc


class ProtocolServer(service_pb2_grpc.GRPCInferenceServiceServicer):
    """One model, ``net``, run by ONNX Runtime from whatever is asked for over the wire.

    Args:
        model: ONNX model of one input; its first length may be free.
        free: whether the batch is given as free, with at most eight in the configuration.
    """

    def __init__(self, model: bytes, free: bool = False):
        self.session = ort.InferenceSession(model, providers=['CPUExecutionProvider'])
        self.free, self.datatype, self.wait_s = free, 'FP32', 0.0
        self.garbage: bytes | None = None
        self.batches: list[int] = []

    def ServerLive(self, request, context):  # noqa: N802
        return pb.ServerLiveResponse(live=True)

    def ModelMetadata(self, request, context):  # noqa: N802
        if request.name != 'net':
            context.abort(grpc.StatusCode.NOT_FOUND, f'unknown model {request.name!r}')
        return pb.ModelMetadataResponse(
            name='net',
            versions=['1'],
            platform='onnxruntime_onnx',
            inputs=[self._tensor(each) for each in self.session.get_inputs()],
            outputs=[self._tensor(each) for each in self.session.get_outputs()],
        )

    def ModelConfig(self, request, context):  # noqa: N802
        answer = pb.ModelConfigResponse()
        answer.config.name = 'net'
        answer.config.max_batch_size = 8 if self.free else 0
        return answer

    def ModelInfer(self, request, context):  # noqa: N802
        time.sleep(self.wait_s)
        given = request.inputs[0]
        values = np.frombuffer(request.raw_input_contents[0], np.float32).reshape(given.shape)
        self.batches.append(len(values))
        names = [each.name for each in request.outputs]
        rows = [
            self.session.run(names, {given.name: values[i : i + 1]}) for i in range(len(values))
        ]
        found = [np.concatenate(parts) for parts in zip(*rows, strict=True)]
        answer = pb.ModelInferResponse(model_name='net', model_version='1', id=request.id)
        for name, each in zip(names, found, strict=True):
            answer.outputs.add(name=name, datatype='FP32', shape=each.shape)
            raw = each.astype(np.float32).tobytes()
            answer.raw_output_contents.append(raw if self.garbage is None else self.garbage)
        return answer

    def _tensor(self, slot):
        shape = [-1, *slot.shape[1:]] if self.free else slot.shape
        return pb.ModelMetadataResponse.TensorMetadata(
            name=slot.name, datatype=self.datatype, shape=shape
        )


@contextmanager
def serving(servicer: ProtocolServer, port: int = 0) -> Iterator[str]:
    """The address of a running server."""
    server = grpc.server(ThreadPoolExecutor(4))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    found = server.add_insecure_port(f'127.0.0.1:{port}')
    server.start()
    try:
        yield f'127.0.0.1:{found}'
    finally:
        server.stop(None).wait()
