"""`e4 models`: which networks are here, and what a file is taken for."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from e4_ros import console

if TYPE_CHECKING:
    from pathlib import Path

    from e4_ros.evaluation.model_facts import ModelFacts, Where


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
    facts, problems = _known(time) if not given else _looked_at(given, time)
    if as_json:
        told = {'models': [_plain(found) for found in facts], 'problems': problems}
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        _print(facts, detailed=bool(given))
    for model, problem in problems.items():
        console.error(problem if model in problem else f'{model}: {problem}')
    if problems:
        raise typer.Exit(2)


def _known(time: bool) -> tuple[list[ModelFacts], dict[str, str]]:
    from e4_ros.evaluation.model_facts import cached, facts_of, shipped, timed

    facts, problems = [], {}
    places: list[tuple[Path, Where]] = [(folder, 'ships') for folder in shipped()]
    places += [(folder, 'cache') for folder in cached()]
    for folder, where in places:
        with console.STDERR.status(f'looking at {folder.name}'):
            try:
                found = facts_of(folder, where)
                facts.append(timed(found) if time else found)
            except (ValueError, OSError) as problem:
                problems[str(folder)] = str(problem)
    return facts, problems


def _looked_at(given: list[str], time: bool) -> tuple[list[ModelFacts], dict[str, str]]:
    from e4_ros.evaluation.model_facts import look, models_in, timed

    facts, problems = [], {}
    for model in (found for text in given for found in models_in(text)):
        with console.STDERR.status(f'looking at {model}'):
            try:
                found = look(model)
                facts.append(timed(found) if time else found)
            except (ValueError, OSError) as problem:
                problems[model] = str(problem)
    return facts, problems


def _print(facts: list[ModelFacts], detailed: bool) -> None:
    from e4_ros.commands.models_text import block_of, list_of

    out = console.stdout()
    if not detailed:
        out.print(list_of(facts))
        return
    for number, found in enumerate(facts):
        if number:
            out.print()
        out.print(block_of(found))


def _plain(facts: ModelFacts) -> dict[str, Any]:
    return asdict(facts) | {'bundle': str(facts.bundle)}


def _clear() -> None:
    from e4_ros.evaluation.model_facts import cached

    folders = cached()
    for folder in folders:
        shutil.rmtree(folder)
    typer.echo(f'removed {len(folders)} bundles from the cache')
