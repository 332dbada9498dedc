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

"""Clocks and offloading decided together, after DVFO (Zhang et al., IEEE TMC 23(10), 2024).

Three policies behind one name: `exact` searches all clocks and everything that can be sent,
`greedy` corrects that by what frames really cost, `learned` is the paper's kind of learner.
"""
