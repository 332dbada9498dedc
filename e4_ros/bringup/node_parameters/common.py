"""Parameters that several nodes share."""

from __future__ import annotations

from e4_ros.bringup.parameter_spec import ParameterSpec

AUTOSTART = ParameterSpec(
    'autostart',
    True,
    'Configure and activate at start; false where a lifecycle manager does it.',
    read_only=True,
)

DIAGNOSTICS_PERIOD = ParameterSpec(
    'diagnostics_period_s',
    1.0,
    'Seconds between two messages on /diagnostics.',
    0.1,
    60.0,
    read_only=True,
)
