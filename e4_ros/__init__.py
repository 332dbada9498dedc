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

"""E4 for ROS 2: camera perception that spends only the energy each frame needs."""

from pkgutil import extend_path

# The generated interfaces (e4_ros.msg, .srv, .action) are built into the install space under the
# same name; without this line a checkout or a pip install earlier on sys.path would hide them.
__path__ = extend_path(__path__, __name__)

__version__ = '0.1.0'
