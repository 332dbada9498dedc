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

"""Message classes and definitions by their names, such as ``sensor_msgs/msg/Image``."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore


def message_class(type_name: str) -> Any:
    """Class of a message.

    Raises:
        LookupError: the package that defines it is not here.
    """
    package, _, name = type_name.split('/')
    try:
        return getattr(importlib.import_module(f'{package}.msg'), name)
    except (ImportError, AttributeError):
        raise LookupError(f'the interfaces of {type_name} are not installed') from None


def definition(type_name: str) -> str:
    """Text of a message's .msg file.

    Raises:
        LookupError: the package that defines it is not here.
    """
    package, _, name = type_name.split('/')
    try:
        path = Path(get_package_share_directory(package)) / 'msg' / f'{name}.msg'
        return path.read_text()
    except (PackageNotFoundError, OSError):
        raise LookupError(f'no .msg file of {type_name} is installed') from None


def register(store: Typestore, type_name: str) -> None:
    """Make ``store`` know a message and everything inside it.

    Raises:
        LookupError: a definition is not installed.
    """
    if type_name in store.fielddefs:
        return
    types = get_types_from_msg(definition(type_name), type_name)
    for _constants, fields in types.values():
        for inner in _named(fields):
            if inner not in types:
                register(store, inner)
    store.register(types)


def typestore() -> Typestore:
    """A store with the common interfaces; :func:`register` adds others."""
    return get_typestore(Stores.ROS2_JAZZY)


def _named(fields: Any) -> set[str]:
    """Names of the messages among field descriptions, arrays looked into."""
    found: set[str] = set()
    for part in fields:
        if isinstance(part, str) and '/msg/' in part:
            found.add(part)
        elif isinstance(part, (list, tuple)):
            found |= _named(part)
    return found
