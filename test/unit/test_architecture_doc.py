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

"""docs/architecture.md: its signatures are the code's, its rooms are the folders."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from pathlib import Path

import pytest

DOC = Path(__file__).parents[2] / 'docs' / 'architecture.md'
BLOCK = re.compile(r'^```python\n# ([\w.]+)\n(.*?)^```', re.M | re.S)
CONTRACTS = [
    (module, node)
    for module, code in BLOCK.findall(DOC.read_text())
    for node in ast.parse(code).body
]


def source_of(thing: object) -> ast.stmt:
    return ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]  # type: ignore[arg-type]


def signature(node: ast.stmt) -> str:
    """A function's signature, by which two spellings of the same one are equal."""
    assert isinstance(node, ast.FunctionDef)
    kinds = {'property', 'staticmethod', 'classmethod'}
    kind = [name for d in node.decorator_list if (name := ast.unparse(d)) in kinds]
    returns = ast.unparse(node.returns) if node.returns else ''
    return f'{kind} {node.name}({ast.unparse(node.args)}) -> {returns}'


def fields(node: ast.stmt) -> list[str]:
    """Fields of a class, with type and default; a default that is made anew is an ellipsis."""
    assert isinstance(node, ast.ClassDef)
    found = []
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and 'ClassVar' not in ast.unparse(item.annotation):
            value = item.value
            made = isinstance(value, ast.Call) and ast.unparse(value.func) in ('field', 'Field')
            default = '' if value is None else ' = ' + ('...' if made else ast.unparse(value))
            found.append(f'{ast.unparse(item.target)}: {_plain(item.annotation)}{default}')
    return found


def _plain(annotation: ast.expr) -> str:
    """A type without pydantic's bounds."""
    bounded = isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == 'Annotated'
    if bounded and isinstance(annotation.slice, ast.Tuple):
        return ast.unparse(annotation.slice.elts[0])
    return ast.unparse(annotation)


def member(cls: type, name: str) -> ast.stmt:
    """Definition of a method or property, in the class or in one that it inherits from."""
    static = inspect.getattr_static(cls, name)
    function = getattr(static, 'fget', None) or getattr(static, '__func__', static)
    return source_of(function)


def differences(module: str, said: ast.stmt) -> list[str]:
    """What the documentation says of a function or class and the code does not."""
    assert isinstance(said, (ast.FunctionDef, ast.ClassDef))
    real = getattr(importlib.import_module(module), said.name)
    if isinstance(said, ast.FunctionDef):
        ours, theirs = signature(said), signature(source_of(inspect.unwrap(real)))
        return [] if ours == theirs else [f'the code has {theirs}']
    found = []
    if (ours := fields(said)) and ours != (theirs := fields(source_of(real))):
        found.append(f'the code has the fields {theirs}')
    for method in said.body:
        if isinstance(method, ast.FunctionDef):
            ours, theirs = signature(method), signature(member(real, method.name))
            found += [] if ours == theirs else [f'the code has {theirs}']
    return found


@pytest.mark.parametrize(('module', 'said'), CONTRACTS, ids=[f'{m}.{n.name}' for m, n in CONTRACTS])  # type: ignore[attr-defined]
def test_signatures_are_the_codes(module, said):
    assert differences(module, said) == []


@pytest.mark.parametrize(
    'said',
    [
        'class DvfsClient:\n    def step(self, path: int) -> bool: ...',
        'class DvfsClient:\n    def step(self, path: int, segment: int) -> None: ...',
        'class DvfsClient:\n    def acquire(self, name: str, token: str) -> None: ...',
        'class Applied:\n    point: dict[str, int]\n    energy_j: float',
        'class Applied:\n    energy_j: float\n    point: dict[str, int]\n    source: str',
    ],
)
def test_a_change_is_noticed(said):
    assert differences('e4_ros.energy.client', ast.parse(said).body[0])


def test_every_room_is_there_with_its_sub_rooms():
    rooms = DOC.read_text().split('## Rooms')[1].split('## A frame')[0]
    package = DOC.parents[1] / 'e4_ros'
    named = {}
    for row in re.findall(r'^\| (`\w+`.*) \|$', rooms, re.M):
        room, _, rest = row.partition(' | ')
        for name in re.findall(r'`(\w+)`', room):
            named[name] = set(re.findall(r'`(\w+)`', rest.rpartition(' | ')[2]))
    for folder in package.iterdir():
        if (folder / '__init__.py').is_file():
            assert folder.name in named, f'{folder.name} is no room of the documentation'
    for room in ('energy', 'profiling', 'perception', 'evaluation', 'bringup'):
        inside = {p.parent.name for p in (package / room).glob('*/__init__.py')}
        assert inside == named[room], f'sub-rooms of {room}'
    vision = {p.parent.name for p in (package / 'vision').glob('*/__init__.py')}
    assert vision <= set(named), 'sub-rooms of vision'


def test_lines_are_readable():
    assert max(map(len, DOC.read_text().splitlines())) <= 160
