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

"""Work spread over processes of this machine or a Ray cluster: bags, and a teacher's looks.

* `workers`: what a place to work offers, and processes of this machine as one; `ray_workers` and
  `ray_relay` are the other.
* `schedule`: tasks to workers, again where a worker died.
* `bag_task`, `fingerprint`, `bag_folders`: one bag, what its results were made from, its folder.
* `merged`, `merged_page`: all bags as one.
* `looks`: the offline teacher's looks.
"""
