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

"""Clocks that can be pinned and restored, one module for each kind of the kernel's."""

from e4_ros.energy.domains.discovery import discover, discover_some, restore_snapshot
from e4_ros.energy.domains.domain import Domain

__all__ = ['Domain', 'discover', 'discover_some', 'restore_snapshot']
