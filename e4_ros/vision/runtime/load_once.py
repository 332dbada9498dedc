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

"""Several streams on one network: each program is loaded once, and each stream has its buffers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from weakref import WeakKeyDictionary

from e4_ros.vision.runtime.interfaces import Buffer, CompiledProgram, Program, Runtime


class LoadOnce:
    """A runtime for streams that run in turns: they share weights, kernels and threads.

    Who compiles a program that was compiled before gets what was loaded then, on buffers of his
    own. What a stream remembers lies in buffers, so none meets another's.

    Args:
        runtime: loads the programs.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime, self.name = runtime, runtime.name
        # A program holds the bytes it was read from: they are not kept for its sake.
        self._loaded: WeakKeyDictionary[Program, CompiledProgram] = WeakKeyDictionary()

    @cached_property
    def host(self) -> Runtime:
        """The runtime itself on the CPU, else one on the CPU that loads once, too."""
        host = self._runtime.host
        return self if host is self._runtime else LoadOnce(host)

    def buffer(self, shape: tuple[int, ...]) -> Buffer:
        """A new buffer of zeros."""
        return self._runtime.buffer(shape)

    def compile(self, program: Program, inputs: Mapping[str, Buffer]) -> CompiledProgram:
        """Compile a program, or bind what was loaded before; see `Runtime.compile`."""
        before = self._loaded.get(program)
        if before is not None:
            return before.bound_to(inputs)
        compiled = self._runtime.compile(program, inputs)
        self._loaded[program] = compiled
        return compiled
