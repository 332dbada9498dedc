"""`e4`: one command for everything that needs no ROS graph, and the starter of the ROS nodes."""

from __future__ import annotations

import importlib
import pkgutil

import typer

from e4_ros import commands

app = typer.Typer(
    name='e4',
    help='Camera perception that spends only the energy each frame needs.',
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={'help_option_names': ['-h', '--help']},
)

# Every module of `commands` that defines `register(app)` adds its command or group. They keep
# heavy imports (torch, onnxruntime) inside their functions, so that `e4 --help` stays quick.
for _module in sorted(pkgutil.iter_modules(commands.__path__), key=lambda m: m.name):
    _register = getattr(
        importlib.import_module(f'{commands.__name__}.{_module.name}'), 'register', None
    )
    if _register is not None:
        _register(app)


def main() -> None:
    """Entry point of the `e4` script."""
    app()


if __name__ == '__main__':
    main()
