"""Attributes of the kernel for a checkup, in which a file that is absent is no error."""

from __future__ import annotations

from pathlib import Path

from e4_ros.energy.domains.sysfs import read_int, read_text
from e4_ros.energy.errors import DomainError


def text(path: Path) -> str:
    """What a file holds; empty where it cannot be read."""
    try:
        return read_text(path)
    except DomainError:
        return ''


def number(path: Path) -> int | None:
    """The number that a file holds; None where it holds none or cannot be read."""
    try:
        return read_int(path)
    except DomainError:
        return None


def command(value: str, *files: str) -> str:
    """What an operator types to write a text to files below the root."""
    return f'`echo {value} | sudo tee {" ".join(f"/{file}" for file in files)}`'


def few(names: list[str], most: int = 4) -> str:
    """The first names of a list, and how many more there are."""
    rest = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + rest
