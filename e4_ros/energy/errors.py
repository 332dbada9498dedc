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

"""Errors of clocks, and the types in which clocks are saved, written and checked."""

from __future__ import annotations

Snapshot = dict[str, str]
"""Path below the root (POSIX, no leading slash) → the text it held, in the order it was read."""

Write = tuple[int, bytes]
"""An open descriptor and the text for it."""

Check = tuple[int, int, int]
"""An open descriptor, the number that its file holds, and how far it may be rounded."""


class DomainError(OSError):
    """A clock could not be read, set or restored; the message names the file and what to do."""


class FrequencyNotInTable(DomainError, ValueError):  # noqa: N818
    """The frequency is not one of the domain's, or not within its limits."""


class NotPermitted(DomainError):  # noqa: N818
    """The kernel refuses this user (EACCES, EPERM, EROFS)."""


class DeviceGone(DomainError):  # noqa: N818
    """The device or file has disappeared (ENOENT, ENODEV, ENXIO)."""


class WriteRefused(DomainError):  # noqa: N818
    """The kernel refused the write (EINVAL, EBUSY, EIO, ...)."""
