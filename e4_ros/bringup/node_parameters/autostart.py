"""The parameter that all lifecycle nodes share."""

from __future__ import annotations

from e4_ros.bringup.parameter_spec import ParameterSpec

AUTOSTART = ParameterSpec(
    'autostart',
    True,
    'Configure and activate at start; false where a lifecycle manager does it.',
    read_only=True,
)
