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

import pytest
import torch
from torch.nn import functional

from e4_ros.vision.clips.motion import motion_map


def _moved(dx: int, dy: int) -> torch.Tensor:
    before = torch.randn(1, 32, 16, 16, generator=torch.Generator().manual_seed(0))
    return motion_map(before.roll((dy, dx), (2, 3)), before)


@pytest.mark.parametrize(('dx', 'dy'), [(2, 0), (-2, 0), (0, 1), (0, -3), (1, 2)])
def test_displacement_points_where_things_went(dx, dy):
    inner = _moved(dx, dy)[0, :, 4:-4, 4:-4]
    assert inner[0].mean() == pytest.approx(dx, abs=0.05)
    assert inner[1].mean() == pytest.approx(dy, abs=0.05)


def test_what_stands_still_has_not_changed():
    still, moved = _moved(0, 0)[0], _moved(2, 0)[0]
    assert still[3].abs().max() < 1e-5
    assert moved[3].mean() > 0.5
    assert still[2].min() > 0.5, 'sure of it'


def test_unlike_frames_leave_no_sure_match():
    a, b = torch.randn(2, 1, 32, 16, 16, generator=torch.Generator().manual_seed(1))
    assert motion_map(a, b)[0, 2].mean() < _moved(1, 0)[0, 2].mean()


def test_every_displacement_is_compared_as_if_one_by_one():
    now, before = torch.randn(2, 2, 6, 9, 11, generator=torch.Generator().manual_seed(2))
    unit, unit_before = functional.normalize(now, dim=1), functional.normalize(before, dim=1)
    padded = functional.pad(unit_before, [3] * 4)
    cosines = torch.stack(
        [(unit * padded[:, :, y : y + 9, x : x + 11]).sum(1) for y in range(7) for x in range(7)], 1
    )
    weights = (30 * cosines).softmax(1)
    shift = torch.tensor([[3.0 - k % 7, 3.0 - k // 7] for k in range(49)])
    want = torch.einsum('bkhw,kd->bdhw', weights, shift)
    got = motion_map(now, before)
    torch.testing.assert_close(got[:, :2], want, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(got[:, 2], cosines.amax(1) - cosines.mean(1))
    torch.testing.assert_close(got[:, 3], 1 - cosines[:, 24])
