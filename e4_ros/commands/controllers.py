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

"""`e4 controllers`: what may decide how deep a frame goes and at which clocks."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('controllers')(list_controllers)


def list_controllers() -> None:
    """List what `--controller` and the node parameter `controller` may be, one line each.

    \b
        e4 controllers
        e4 run bikes --controller fixed:best+exits

    `sim` marks those that run in the simulator of `e4 reproduce` only, where it is known how busy
    each domain is, or where they learn.
    """  # noqa: D301
    from e4_ros import console
    from e4_ros.perception.controllers import FIXED, WITH_EXITS, controllers

    out = console.stdout()
    shown = [s for s in controllers().values() if not s.name.endswith(WITH_EXITS)]
    lines = [(s.name, '' if s.live else 'sim', s.description) for s in shown]
    lines.insert(4, (f'{FIXED}cpu=1.2GHz,gpu=612MHz', '', 'The whole network. That one point.'))
    for name, where, text in lines:
        out.print(f'{name:28} {where:4} {text}', markup=False, highlight=False, soft_wrap=True)
    out.print(
        f'\n{WITH_EXITS} after a name that runs the whole network, but for full and plan, lets '
        'frames stop early at the exits that are trusted.',
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
