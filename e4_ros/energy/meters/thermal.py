"""The board's temperature, from the kernel's thermal zones."""

from __future__ import annotations

from pathlib import Path


def hottest_c(root: str | Path = '/') -> float | None:
    """Temperature of the hottest thermal zone in degrees Celsius, or None where there is none.

    Zones that cannot be read (a disabled sensor answers EAGAIN or EINVAL) are passed over. See the
    kernel's Documentation/driver-api/thermal/sysfs-api.rst: ``temp`` is in millidegrees.
    """
    hottest: float | None = None
    for zone in Path(root).glob('sys/class/thermal/thermal_zone*/temp'):
        try:
            celsius = int(zone.read_text()) / 1000
        except (OSError, ValueError):
            continue
        hottest = celsius if hottest is None else max(hottest, celsius)
    return hottest
