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

"""The board model against published measurements.

The layers (``data/*.csv``) are the convolutions and linear layers of timm's ``inception_v4`` at
299x299 and torchvision's ``vgg19`` and ``resnet50`` at 224x224, with fp32 bytes of input, output
and weights. A 3x3 convolution of stride 1 needs 2.25 times fewer multiply-adds than it has, by
Winograd's F(2x2, 3x3) (Lavin and Gray, CVPR 2016), which cuDNN uses. ResNet and the memory clock
took no part in the fit.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import load_board

GPU_MHZ = (114.75, 216.75, 420.75, 624.75, 854.25, 1032.75, 1300.5)
PUBLISHED_MS = {
    'inception_v4': (679.9, 362.9, 189.8, 129.6, 96.9, 83.1, 70.9),
    'vgg19': (576.7, 305.8, 159.3, 113.6, 91.8, 85.1, 82.1),
}
WINOGRAD = 2.25


def layers(network: str) -> list[SegmentWork]:
    with (Path(__file__).parent / 'data' / f'{network}.csv').open() as file:
        rows = list(csv.DictReader(file))
    return [
        SegmentWork(
            f'{i}',
            float(row['macs'])
            / (WINOGRAD if (row['kernel'], row['stride']) == ('3x3', '1') else 1.0),
            float(row['bytes_moved']),
            layers=1,
        )
        for i, row in enumerate(rows)
    ]


@pytest.fixture(scope='module')
def tx2() -> BoardModel:
    return BoardModel(load_board('jetson_tx2').in_mode('MAXN'))


def whole(model: BoardModel, network: str, point: dict[str, int]) -> tuple[float, float]:
    latency_s, energy_j = model.costs(layers(network), [point])
    return float(latency_s.sum()), float(energy_j.sum())


@pytest.mark.parametrize('network', PUBLISHED_MS)
def test_tx2_latency_against_the_gpu_clock(tx2, network):
    for mhz, published in zip(GPU_MHZ, PUBLISHED_MS[network], strict=True):
        latency_s, _ = whole(tx2, network, {'gpu': round(mhz * 1e6)})
        assert 1e3 * latency_s == pytest.approx(published, rel=0.10)


def test_tx2_memory_clock_matters_only_at_a_high_gpu_clock(tx2):
    """Published: 185.8 to 185.4 ms at GPU 114.75 MHz, 23.4 to 18.7 ms at 1300.5 MHz."""

    def ratio(gpu_hz: int) -> float:
        slow = whole(tx2, 'resnet50', {'gpu': gpu_hz, 'emc': 1_062_400_000})[0]
        return slow / whole(tx2, 'resnet50', {'gpu': gpu_hz, 'emc': 1_866_000_000})[0]

    assert ratio(114_750_000) == pytest.approx(185.8 / 185.4, rel=0.02)
    assert ratio(1_300_500_000) == pytest.approx(23.4 / 18.7, rel=0.06)


def test_tx2_rails_with_the_cpu_loaded_and_the_gpu_idle(tx2):
    point = tx2.default_point() | {'gpu': 114_750_000}
    rails = tx2.rail_power_w(point, {'cpu': 1.0})
    assert rails['VDD_IN'] == pytest.approx(7.36, rel=0.02)
    assert rails['VDD_SYS_CPU'] == pytest.approx(3.35, rel=0.02)
    assert rails['VDD_SYS_GPU'] == pytest.approx(0.23, rel=0.05)
    assert rails['VDD_SYS_SOC'] == pytest.approx(0.99, rel=0.02)
    assert rails['VDD_SYS_DDR'] == pytest.approx(1.32, rel=0.02)


@pytest.mark.parametrize('network', ['inception_v4', 'vgg19', 'resnet50'])
def test_tx2_power_of_inference(tx2, network):
    """Published: 5.9 to 7.6 W, the clocks not said; taken as the upper third of the table."""
    for mhz in GPU_MHZ[4:]:
        latency_s, energy_j = whole(tx2, network, {'gpu': round(mhz * 1e6)})
        assert 5.9 <= energy_j / latency_s <= 1.03 * 7.6


def test_orin_nano_idle_with_its_gpu_at_the_lowest_clock():
    model = BoardModel(load_board('jetson_orin_nano'))
    point = model.default_point() | {'gpu': 306_000_000}
    assert model.idle_w(point, wait_s=0.1) == pytest.approx(4.17, rel=0.02)
