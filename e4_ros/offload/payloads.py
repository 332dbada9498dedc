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

"""What each way of sending a frame takes, and what the answer to it is worth: measured tables.

Which way is best depends on the footage: features at a cut cost the same whatever is in the
picture, a JPEG of a plain scene is small. A controller looks both up here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from e4_ros.offload.request import FEATURES, FORMS


@dataclass(frozen=True)
class Payload:
    """One way of sending a frame.

    Attributes:
        form: one of `request.FORMS`.
        cut: name of the operation behind which features are taken; empty for pictures.
        bits: bits of a feature's value, 8 or 4; 0 for pictures.
        quality: JPEG quality of a picture, 1 to 100; 0 for features.
        bytes: mean bytes a frame, as they are sent.
        f1: F1 against the whole network on the robot, 0 to 1; NaN where neither found anything.
        people: F1 against labels that people drew; NaN where there are none.
        encode_s: seconds that it takes to encode, median, on the machine that measured.
        share: share of the network's cost, 0 to 1, that the robot has spent before it can send.
    """

    form: str
    cut: str = ''
    bits: int = 0
    quality: int = 0
    bytes: float = 0.0
    f1: float = 1.0
    people: float = math.nan
    encode_s: float = 0.0
    share: float = 0.0

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ValueError(f'no form {self.form!r}; there are {", ".join(FORMS)}')
        if (self.form == FEATURES) != bool(self.cut):
            raise ValueError('features, and nothing else, are taken at a cut')
        if not 0 <= self.bytes < math.inf:
            raise ValueError(f'{self.bytes} bytes a frame cannot be')
        if self.f1 < 0 or self.f1 > 1:
            raise ValueError(f'an F1 of {self.f1} is not within 0 to 1')

    @property
    def name(self) -> str:
        """In words, such as ``features add_5 4 bit`` or ``frame q75``."""
        if self.form == FEATURES:
            return f'{self.form} {self.cut} {self.bits} bit'
        return f'{self.form} q{self.quality}'


@dataclass(frozen=True)
class PayloadTable:
    """All ways, measured on one stream.

    Attributes:
        network: hash of the network's weights, see `StagedNetwork.weights`.
        stream: name of the footage.
        frames: number of frames that were measured.
        ways: the ways.
    """

    network: str
    stream: str
    frames: int
    ways: tuple[Payload, ...]

    def front(self, forms: Iterable[str] = FORMS) -> list[Payload]:
        """The ways that no other beats in both bytes and F1, the smallest first.

        Args:
            forms: forms that can be sent.
        """
        allowed = set(forms)
        found: list[Payload] = []
        for way in sorted(self.ways, key=lambda way: (way.bytes, -way.f1)):
            if way.form in allowed and way.f1 > max((kept.f1 for kept in found), default=-1.0):
                found.append(way)
        return found

    def smallest(self, least_f1: float, forms: Iterable[str] = FORMS) -> Payload | None:
        """The way of fewest bytes whose F1 is good enough; None where none is."""
        return next((way for way in self.front(forms) if way.f1 >= least_f1), None)

    def to_json(self) -> dict[str, Any]:
        """As plain values; what is not a number becomes None."""
        about = asdict(self)
        about['ways'] = [
            {key: None if value != value else value for key, value in way.items()}
            for way in about['ways']
        ]
        return about

    @classmethod
    def from_json(cls, about: dict[str, Any]) -> PayloadTable:
        """From what `to_json` gives.

        Raises:
            ValueError: it is no such table; says what is wrong.
        """
        try:
            ways = tuple(_way(way) for way in about['ways'])
            return cls(about['network'], about['stream'], int(about['frames']), ways)
        except (KeyError, TypeError) as error:
            raise ValueError(f'this is no table of payloads: {error!r}') from error


def _way(about: dict[str, Any]) -> Payload:
    values: dict[str, Any] = {k: math.nan if v is None else v for k, v in about.items()}
    return Payload(**values)


def shipped_tables() -> tuple[PayloadTable, ...]:
    """Tables of the shipped detector, as `e4 bench siblings --part sent` has measured them."""
    return read_tables(Path(__file__).with_name('payloads.json'))


def read_tables(path: Path) -> tuple[PayloadTable, ...]:
    """Tables from a file: the figures of `e4 bench siblings`, or a list of tables.

    Raises:
        ValueError: the file holds no such tables; says which file.
        OSError: it cannot be read.
    """
    try:
        about = json.loads(path.read_text())
        tables = about if isinstance(about, list) else about['sent']['tables']
        return tuple(PayloadTable.from_json(each) for each in tables)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} holds no tables of payloads ({error}); '
            f'`e4 bench siblings --part sent --json {path}` makes some'
        ) from error


def table_for(tables: Sequence[PayloadTable], network: str) -> PayloadTable | None:
    """The worst case of all streams of a network: most bytes and least F1 of each way.

    Args:
        tables: tables, of other networks too.
        network: hash of the robot's network.

    Returns:
        None where nobody has measured that network.
    """
    mine = [table for table in tables if table.network == network]
    if not mine:
        return None
    by_name: dict[str, list[Payload]] = {}
    for way in (way for table in mine for way in table.ways):
        by_name.setdefault(way.name, []).append(way)
    worst = tuple(_worst(ways) for ways in by_name.values() if len(ways) == len(mine))
    names = ', '.join(table.stream for table in mine)
    return PayloadTable(network, names, sum(table.frames for table in mine), worst)


def _worst(ways: Sequence[Payload]) -> Payload:
    known = [way.f1 for way in ways if way.f1 == way.f1]
    drawn = [way.people for way in ways if way.people == way.people]
    return Payload(
        ways[0].form,
        ways[0].cut,
        ways[0].bits,
        ways[0].quality,
        max(way.bytes for way in ways),
        min(known, default=math.nan),
        min(drawn, default=math.nan),
        max(way.encode_s for way in ways),
        ways[0].share,
    )
