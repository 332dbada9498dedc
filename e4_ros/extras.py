"""Packages that only some commands need, and what to do where they are missing."""

from __future__ import annotations

from importlib.util import find_spec

EXTRAS = {
    'train': ('torch', 'torchvision', 'safetensors'),
    'learn': ('gymnasium', 'stable_baselines3', 'torch'),
}
"""Extra of the package, as in `pip install 'e4_ros[train]'` → modules that it brings."""


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
        packages = ' '.join(name.replace('_', '-') for name in missing)
        raise MissingExtraError(
            f'{what} needs the extra `{extra}`, of which {", ".join(missing)} '
            f'{"is" if len(missing) == 1 else "are"} not installed: `pip install {packages}`, or '
            f'`make {extra}` in a checkout'
        )
