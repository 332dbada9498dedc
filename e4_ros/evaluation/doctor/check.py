"""One line of a checkup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal['ok', 'optional', 'missing']


@dataclass(frozen=True)
class Check:
    """One line of the checkup.

    Attributes:
        group: ``software``, ``clocks``, ``energy`` or ``access``.
        name: What was looked at.
        state: ``optional``: absent, and things work without it; ``missing``: something fails.
        found: What is there.
        advice: What to do, where something is absent.
    """

    group: str
    name: str
    state: State
    found: str
    advice: str = ''
