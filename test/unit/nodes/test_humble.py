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

"""Nodes come up with Humble's rclpy: Jazzy's, less what the sources of 3.3 do not have."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip('rclpy')

HUMBLE = """
import importlib, pkgutil, sys, warnings
import rclpy, rclpy.lifecycle, rclpy.node
with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    import rclpy.qos_event
for module in ('rclpy.event_handler', 'rclpy.type_description_service'):
    sys.modules[module] = None
for method in ('add_pre_set_parameters_callback', 'add_post_set_parameters_callback'):
    delattr(rclpy.node.Node, method)
for method in ('wait_for_node', 'count_services', 'count_clients'):
    if hasattr(rclpy.node.Node, method):
        delattr(rclpy.node.Node, method)
"""
IMPORT = """
import e4_ros.nodes
for found in pkgutil.iter_modules(e4_ros.nodes.__path__):
    importlib.import_module(f'e4_ros.nodes.{found.name}')
"""
CONSTRUCT = """
from rclpy.parameter import Parameter
from e4_ros.nodes.dvfs_helper import DvfsHelper
from e4_ros.nodes.obstacles import ObstaclesNode
from e4_ros.nodes.perception import Perception
from e4_ros.nodes.profiler import Profiler

rclpy.init()
off = [Parameter('autostart', value=False)]
for kind in (DvfsHelper, ObstaclesNode, Perception, Profiler):
    node = kind(parameter_overrides=off)
    node.stop()
    node.destroy_node()
rclpy.shutdown()
"""


def _run(*parts: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, '-c', ''.join(parts)], capture_output=True, text=True)


def test_every_module_of_the_nodes_imports():
    assert (done := _run(HUMBLE, IMPORT)).returncode == 0, done.stderr


def test_nodes_are_constructed():
    assert (done := _run(HUMBLE, CONSTRUCT)).returncode == 0, done.stderr


def test_a_name_that_only_jazzy_has_would_be_noticed():
    done = _run(HUMBLE, 'from rclpy.event_handler import SubscriptionEventCallbacks')
    assert done.returncode != 0
