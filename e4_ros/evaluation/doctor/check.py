"""One line of a checkup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal['ok', 'optional', 'missing']


@dataclass(frozen=True)
class Check:
    """One line of the checkup.

    Attributes:
        group: ``software``, ``clocks``, ``energy`` or ``access``; where it is asked what could
            sleep, ``chip``, ``around`` or ``buses``.
        name: Name of the thing that was checked.
        state: ``ok``: present; ``optional``: absent but not needed; ``missing``: absent and needed.
        found: What was found.
        advice: What to do where something is absent.
    """

    group: str
    name: str
    state: State
    found: str
    advice: str = ''
