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

"""`e4 models`: which networks are here, and what a file is taken for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from e4_ros import console

if TYPE_CHECKING:
    from e4_ros.evaluation.model_facts import ModelFacts


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('models')(models)


def models(
    given: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(
            metavar='[MODEL]...',
            help='Names, ONNX files, bundles, or folders of those; without any: what ships, and '
            'what is in the cache.',
        ),
    ] = None,
    time: Annotated[
        bool, typer.Option(help='Measure for a second each what a frame costs on this machine.')
    ] = True,
    as_json: Annotated[bool, typer.Option('--json', help='Print JSON instead.')] = False,
    clear_cache: Annotated[
        bool,
        typer.Option(
            '--clear-cache',
            help='Remove the bundles in the cache; they are made again when they are needed.',
        ),
    ] = False,
) -> None:
    """Say which networks are here, or what a file is taken for, before anything runs.

    \b
        e4 models
        e4 models best.onnx
        e4 models runs/*/best.onnx --no-time --json

    Of an ONNX file: family, input, classes and how they were found out; where it can be cut, and
    what it costs. What a file does not say stands in a .yaml beside it: docs/models.md. A file
    that cannot be used is named with the reason, and the exit status is then 2.
    """  # noqa: D301
    if clear_cache:
        _clear()
        return
    from e4_ros.commands.models_text import block_of, list_of

    shown = console.stdout()
    facts: list[ModelFacts] = []
    problems: dict[str, str] = {}
    for name, get in _asked_for(given or [], time):
        with console.STDERR.status(f'looking at {name}'):
            try:
                facts.append(get())
            except (ValueError, OSError) as problem:
                problems[name] = str(problem)
                console.error(str(problem) if name in str(problem) else f'{name}: {problem}')
                continue
        if given and not as_json:
            shown.print(block_of(facts[-1]), '')
    if as_json:
        told = {'models': [_plain(found) for found in facts], 'problems': problems}
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    elif not given:
        shown.print(list_of(facts))
    if problems:
        raise typer.Exit(2)


def _asked_for(given: list[str], time: bool) -> Iterator[tuple[str, Callable[[], ModelFacts]]]:
    """What each model is called, and how to find out about it."""
    from e4_ros.evaluation.model_facts import cached, facts_of, look, models_in, shipped, timed

    def after(get: Callable[[], ModelFacts]) -> Callable[[], ModelFacts]:
        return (lambda: timed(get())) if time else get

    for model in (found for text in given for found in models_in(text)):
        yield model, after(partial(look, model))
    if not given:
        for folder in shipped():
            yield folder.name, after(partial(facts_of, folder, 'ships'))
        for folder in cached():
            yield folder.name, after(partial(facts_of, folder, 'cache'))


def _plain(facts: ModelFacts) -> dict[str, Any]:
    return asdict(facts) | {'bundle': str(facts.bundle)}


def _clear() -> None:
    from e4_ros.evaluation.model_facts import cached

    folders = cached()
    for folder in folders:
        shutil.rmtree(folder)
    typer.echo(f'removed {len(folders)} bundles from the cache')
