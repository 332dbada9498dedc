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

"""The optional jtop client, against a module of the same shape (jetson-stats is never required)."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from e4_ros.energy.errors import DomainError
from e4_ros.energy.meters.jtop import total_watts


class Service:
    """What the client of jetson-stats 7.2 offers, as far as it is used."""

    runs = True
    alive = True

    def __init__(self, interval: float) -> None:
        self.power = {'tot': {'power': 6250}, 'rail': {}}

    def start(self) -> None:
        if not self.runs:
            raise sys.modules['jtop.core.exceptions'].JtopException('the service is not active')

    def is_alive(self) -> bool:
        return self.alive


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> type[Service]:
    package, core = ModuleType('jtop'), ModuleType('jtop.core')
    exceptions = ModuleType('jtop.core.exceptions')
    kind = type('Service', (Service,), {})
    vars(package)['jtop'] = kind
    vars(exceptions)['JtopException'] = type('JtopException', (Exception,), {})
    for module in (package, core, exceptions):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return kind


def test_power_is_in_milliwatts(service: type[Service]) -> None:
    watts = total_watts()
    assert watts is not None
    assert watts() == 6.25


def test_a_service_that_has_gone_is_an_error(service: type[Service]) -> None:
    watts = total_watts()
    assert watts is not None
    service.alive = False
    with pytest.raises(DomainError, match='jtop service'):
        watts()


def test_without_a_service_there_is_no_power(service: type[Service]) -> None:
    service.runs = False
    assert total_watts() is None
