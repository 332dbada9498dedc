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

"""A node's parameter as data: type, range, choices, and how a value or a text becomes one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

_KINDS = {
    bool: 'true or false (bool)',
    int: 'a whole number (integer)',
    float: 'a number (double)',
    str: 'a text (string)',
}


class ParameterError(ValueError):
    """A value that a parameter cannot take; the text names the parameter and says why."""


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter of a node; its one place. Nodes declare it, bringups offer it as an argument.

    Attributes:
        name: Name of the parameter.
        default: Value where nothing is given; its type is the parameter's type. Lists are lists of
            texts or, where the default has numbers, of numbers; an empty text in one counts as
            nothing, because ROS cannot tell the type of an empty list.
        description: Whole sentences for people.
        low, high: Inclusive range of a number; both or none.
        choices: What a text may be; empty for anything.
        also: Regular expression of further texts that it may be, besides the choices.
        read_only: Only to be given at start.
        live: A change has effect at once. Others are read when the node is configured, and are
            refused while it is.
    """

    name: str
    default: Any
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    also: str = ''
    read_only: bool = False
    live: bool = False

    @property
    def kind(self) -> str:
        """Type of the parameter in words, with ROS's own name for it."""
        if self._numbers:
            return f'a list of numbers (double array), such as {list(self.default)}'
        if isinstance(self.default, (list, tuple)):
            return 'a list of texts (string array), such as [cpu, gpu]'
        return _KINDS[type(self.default)]

    def convert(self, value: Any) -> Any:
        """Turn ``value`` into this parameter's type where that loses nothing: 1 is 1.0.

        Raises:
            ParameterError: it is of another type.
        """
        if self._numbers:
            if _is_list(value) and all(isinstance(v, float) or _is_whole(v) for v in value):
                return [float(v) for v in value]
        elif isinstance(self.default, (list, tuple)):
            if _is_list(value) and all(_is_text(item) for item in value):
                return [item if isinstance(item, str) else f'{item:g}' for item in value] or ['']
        elif type(value) is type(self.default):
            return value
        elif isinstance(self.default, float) and _is_whole(value) and float(value) == value:
            return float(value)
        elif _is_whole(self.default) and isinstance(value, float) and value.is_integer():
            return int(value)
        raise ParameterError(f'{self.name} takes {self.kind}, not {value!r}')

    def check(self, value: Any) -> None:
        """Make sure that a value of the right type is in range and among the choices.

        Raises:
            ParameterError: it is not.
        """
        further = self.also and re.fullmatch(self.also, str(value))
        if self.choices and value not in self.choices and not further:
            choices = ', '.join(choice or "''" for choice in self.choices)
            raise ParameterError(f'{self.name} is one of {choices}, not {value!r}')
        if self.low is None or self.high is None:
            return
        if not self.low <= value <= self.high:
            raise ParameterError(f'{self.name} is from {self.low} to {self.high}, not {value!r}')

    def parse(self, text: str) -> Any:
        """Turn a text, as launch arguments and command lines give it, into a checked value.

        A text parameter takes it as it is, so ``5`` stays a text; ``''`` and ``""`` are the empty
        text. All others read it as YAML.

        Raises:
            ParameterError: it is none for this parameter.
        """
        value = self.convert(self._read(text))
        self.check(value)
        return value

    @property
    def _numbers(self) -> bool:
        """Whether it is a list of numbers."""
        return isinstance(self.default, (list, tuple)) and isinstance(self.default[0], float)

    def _read(self, text: str) -> Any:
        if isinstance(self.default, str):
            return '' if text in ("''", '""') else text
        is_list = isinstance(self.default, (list, tuple)) and not self._numbers
        try:
            # In a list of texts 5 is a text, too.
            value = yaml.load(text, yaml.BaseLoader if is_list else yaml.SafeLoader)
            # YAML 1.1 wants a dot in 1e-3.
            if self._numbers and _is_list(value):
                return [float(item) if isinstance(item, str) else item for item in value]
            return float(value) if isinstance(value, str) and not is_list else value
        except (yaml.YAMLError, ValueError):
            return text


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    """Whether it is a text, or a number, which has one."""
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, dict))
