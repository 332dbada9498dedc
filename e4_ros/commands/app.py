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

"""The `e4` command: its sub-commands, how each of them fails, and with which exit code."""

from __future__ import annotations

import errno
import importlib
import pkgutil
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from e4_ros import __version__, commands, console

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130

_HELP = """Camera perception that spends only the energy each frame needs.

\b
    e4 run vtest                      # a video, early exits, a report
    e4 up perception --image /camera/image_raw
    e4 COMMAND --help                 # what it does, an example, its options
"""

_EXIT_CODES = (
    f'Exit codes: 0 done; {FAILED} failed, or the answer is no (nothing to plan, something '
    f'missing); {WRONG_INPUT} an option, or a file that it names, is wrong; {INTERRUPTED} '
    'interrupted. '
    'An error is one `error:` line on stderr; `e4 --traceback COMMAND` shows where it comes from.'
)


class CommandGroup(TyperGroup):
    """Turns what a person can do something about into one line on stderr and an exit code.

    Wrong input is a `ValueError` or a missing file; a machine that does not do as asked is another
    `OSError`. Anything else is a bug and keeps its traceback.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the sub-command."""
        try:
            return super().invoke(ctx)
        except (ValueError, OSError, KeyboardInterrupt) as problem:
            reader_is_gone = isinstance(problem, OSError) and problem.errno == errno.EPIPE
            if reader_is_gone or ctx.params.get('traceback'):
                raise
            console.error(_in_words(problem))
            raise typer.Exit(_exit_code(problem)) from problem


def _exit_code(problem: BaseException) -> int:
    if isinstance(problem, KeyboardInterrupt):
        return INTERRUPTED
    return WRONG_INPUT if isinstance(problem, (ValueError, FileNotFoundError)) else FAILED


def _in_words(problem: BaseException) -> str:
    """An error's own words, without the number that the system gave it."""
    if isinstance(problem, KeyboardInterrupt):
        return 'interrupted'
    if isinstance(problem, OSError) and problem.strerror:
        return f'{problem.filename}: {problem.strerror}' if problem.filename else problem.strerror
    return str(problem) or type(problem).__name__


app = typer.Typer(
    name='e4',
    cls=CommandGroup,
    help=_HELP,
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={'help_option_names': ['-h', '--help']},
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f'e4_ros {__version__}')
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option('--version', help='Print the version.', callback=_show_version, is_eager=True),
    ] = False,
    traceback: Annotated[
        bool, typer.Option('--traceback', help='Show where in the code an error comes from.')
    ] = False,
) -> None:
    pass


# Every module of `commands` that defines `register(app)` adds its command or group. They keep
# heavy imports (torch, onnxruntime) inside their functions, so that `e4 --help` stays quick.
for _module in sorted(pkgutil.iter_modules(commands.__path__), key=lambda m: m.name):
    if _module.name != 'app':
        _imported = importlib.import_module(f'{commands.__name__}.{_module.name}')
        if hasattr(_imported, 'register'):
            _imported.register(app)
