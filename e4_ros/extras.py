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

"""Packages that only some commands need, and what to do where they are missing."""

from __future__ import annotations

from importlib.util import find_spec

EXTRAS = {
    'train': ('torch', 'torchvision', 'safetensors'),
    'learn': ('gymnasium', 'stable_baselines3', 'torchrl', 'torch'),
    'labels': ('supervision', 'trackers'),
    'edge': ('zenoh',),
    'cluster': ('ray',),
    'triton': ('tritonclient',),
}
"""Extra → modules that it brings; `requirements/EXTRA.in` says more."""

_ALONE = frozenset({'trackers'})
"""Modules whose packages are installed without what they ask for."""

_PACKAGES = {'zenoh': 'eclipse-zenoh', 'ray': 'ray[serve]', 'tritonclient': 'tritonclient[grpc]'}
"""Module → package, where they are called differently."""


class MissingExtraError(OSError):
    """Something needs packages that are not installed."""


def require(extra: str, what: str) -> None:
    """Make sure that the modules of an extra are there, without importing them.

    Args:
        extra: A key of `EXTRAS`.
        what: What needs them, as the subject of a sentence: "`e4 fit`".

    Raises:
        MissingExtraError: some are missing; it says which, and how to get them.
    """
    missing = [name for name in EXTRAS[extra] if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f'{what} needs the extra `{extra}`, of which {", ".join(missing)} '
            f'{"is" if len(missing) == 1 else "are"} not installed: {_commands(missing)}, or '
            f'`make {extra}` in a checkout'
        )


def _commands(modules: list[str]) -> str:
    """What installs them, packages that come alone in a command of their own."""
    packages = {name: _PACKAGES.get(name, name.replace('_', '-')) for name in modules}
    alone = [packages[name] for name in modules if name in _ALONE]
    others = [packages[name] for name in modules if name not in _ALONE]
    words = [['pip install', *others]] if others else []
    words += [['pip install --no-deps', *alone]] if alone else []
    return ' and '.join(f'`{" ".join(command)}`' for command in words)
