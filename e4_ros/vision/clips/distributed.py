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

"""One process, or several that `torchrun` started: the same code for both."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar('T')


@dataclass(frozen=True)
class Group:
    """The processes that work together.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
        device: torch device of this process.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device('cpu')  # noqa: RUF009 - immutable

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def mine(self, items: Sequence[T]) -> Sequence[T]:
        """The share of the work that falls to this process."""
        return items[self.rank :: self.size]

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            dist.barrier()

    def share(self, items: list[T]) -> list[T]:
        """Everybody's items, in every process."""
        if self.size == 1:
            return items
        parts: list[list[T]] = [[] for _ in range(self.size)]
        dist.all_gather_object(parts, items)
        return [item for part in parts for item in part]

    def parallel(self, net: nn.Module) -> nn.Module:
        """The network, its gradients averaged over the processes."""
        return net if self.size == 1 else DistributedDataParallel(net)


@contextmanager
def joined() -> Iterator[Group]:
    """Join the other processes if `torchrun` started this one: NCCL on GPUs, else Gloo."""
    gpu = torch.cuda.is_available()
    device = (
        torch.device('cuda', int(os.environ.get('LOCAL_RANK', 0))) if gpu else torch.device('cpu')
    )
    if gpu:
        torch.cuda.set_device(device)
    if int(os.environ.get('WORLD_SIZE', '1')) == 1:
        yield Group(device=device)
        return
    dist.init_process_group('nccl' if gpu else 'gloo')
    try:
        yield Group(dist.get_rank(), dist.get_world_size(), device)
    finally:
        dist.destroy_process_group()
