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

"""Put the tables of `e4 bench siblings` into docs.

Usage: python scripts/siblings_tables.py docs/results/xeon-2cpu-vm-siblings.json

A table stands between ``<!-- siblings: PART.KEY FILTER -->`` and ``<!-- end -->`` in docs; what
is between them is replaced by the rows of the JSON file's PART and KEY. FILTER may be left out, or
says ``name=value``: only those rows. Rows with a regret are shown as in the terminal; of others
every column is. Parts that the file lacks stay as they are.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from e4_ros.benchmarks.siblings.regret import as_text

ROOT = Path(__file__).resolve().parents[1]
Rows = Sequence[Mapping[str, Any]]


def rows_of(result: Mapping[str, Any], part: str, key: str, only: str) -> Rows | None:
    """The rows that a mark asks for, without the column that they were chosen by; None: absent."""
    found = result.get(part, {}).get(key)
    if found is None:
        return None
    if not only:
        return list(found)
    name, _, value = only.partition('=')
    kept = [row for row in found if str(row.get(name)) == value]
    if not kept:
        raise SystemExit(f'{part}.{key} has no rows with {only}')
    return [{column: cell for column, cell in row.items() if column != name} for row in kept]


def table(rows: Rows) -> str:
    """Rows as a table in Markdown."""
    if all('regret_percent' in row for row in rows):
        heads, body = as_text(rows)
    else:
        heads = list(dict.fromkeys(column for row in rows for column in row))
        body = [[_cell(row.get(head)) for head in heads] for row in rows]
        heads = [head.replace('_percent', ' %').replace('_', ' ') for head in heads]
    lines = [heads, ['---', *['---:'] * (len(heads) - 1)], *body]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def filled(text: str, result: Mapping[str, Any]) -> str:
    """The text with every table that the file has."""

    def put(found: re.Match[str]) -> str:
        rows = rows_of(result, found[1], found[2], found[3] or '')
        if rows is None:
            return found[0]
        mark = f'{found[1]}.{found[2]}' + (f' {found[3]}' if found[3] else '')
        return f'<!-- siblings: {mark} -->\n{table(rows)}\n<!-- end -->'

    pattern = r'<!-- siblings: (\w+)\.(\w+)(?: (\S+=\S+))? -->.*?<!-- end -->'
    return re.sub(pattern, put, text, flags=re.DOTALL)


def _cell(value: Any) -> str:
    if value is None:
        return ''
    return f'{value:.3g}' if isinstance(value, float) else str(value)


def main() -> None:
    """Read the figures, write docs."""
    result = json.loads(Path(sys.argv[1]).read_text())
    for path in sorted((ROOT / 'docs').glob('*.md')):
        path.write_text(filled(path.read_text(), result))


if __name__ == '__main__':
    main()
