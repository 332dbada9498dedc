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

"""Total power from a running jtop service, for users who may not read the rails themselves.

jetson-stats is AGPL-3.0: it is never required, and only used where the user has installed it. Its
averages are not averages over time, so only the momentary power is taken.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from e4_ros.energy.errors import DomainError

_log = logging.getLogger(__name__)

PERIOD_S = 1.0
"""The service refreshes about so often."""
_W_PER_MW = 1e-3


def total_watts() -> Callable[[], float] | None:
    """A function that reads the board's power; None without jtop or without its service."""
    try:
        from jtop import jtop
        from jtop.core.exceptions import JtopException
    except ImportError:
        return None
    client = jtop(interval=PERIOD_S)
    try:
        client.start()
    except (JtopException, OSError) as error:
        _log.info('jtop is installed but does not answer: %s', error)
        return None

    def watts() -> float:
        if not client.is_alive():
            raise DomainError('the jtop service has gone; start it again with `systemctl`')
        try:
            return client.power['tot']['power'] * _W_PER_MW
        except (KeyError, TypeError) as error:
            raise DomainError(f'the jtop service shows no total power: {error!r}') from error

    return watts
