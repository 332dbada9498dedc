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

"""A benchmark in parts, each a module with `measure(quick)` and `show(found)`.

`measure` returns plain values, which land in the JSON file under the part's name; `show` prints
them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

Parts = Mapping[str, str]
"""Name of a part → module of the benchmark's folder."""


def known(parts: Parts) -> Callable[[list[str] | None], list[str] | None]:
    """A callback of a typer option that refuses parts which there are not."""

    def check(asked: list[str] | None) -> list[str] | None:
        if unknown := set(asked or []) - set(parts):
            raise typer.BadParameter(
                f'no part {", ".join(sorted(unknown))}; there are {", ".join(parts)}'
            )
        return asked

    return check


def measure_parts(
    package: str, parts: Parts, asked: Sequence[str] | None, quick: bool, out: Path
) -> None:
    """Measure parts one after the other; the file is written anew after each.

    Args:
        package: name of the package that has the modules.
        parts: all that there are.
        asked: names of those to measure; None or none: all.
        quick: whether a short form will do.
        out: the JSON file.
    """
    from e4_ros.benchmarks.figures import save_figures
    from e4_ros.benchmarks.machine import machine

    result: dict[str, Any] = {'machine': machine()}
    for name in asked or list(parts):
        part = import_module(f'{package}.{parts[name]}')
        result[name] = part.measure(quick)
        save_figures(result, out)
        part.show(result[name])
    typer.echo(f'wrote {out}')
