"""The parameters of the recorder."""

from __future__ import annotations

from e4_ros.bringup.parameter_spec import ParameterSpec

PARAMETERS = (
    ParameterSpec(
        'output', 'telemetry.mcap', 'File to write; an existing one is replaced.', read_only=True
    ),
    ParameterSpec(
        'topics', [''], 'Topics to record; none for every topic but images.', read_only=True
    ),
)
