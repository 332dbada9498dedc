"""What the machine's own settings allow: a plan may not leave them."""

from __future__ import annotations


def limits_hz(table_hz: tuple[int, ...], low_hz: int, high_hz: int) -> tuple[int, int]:
    """Lowest and highest frequency that may be asked for, given the min and max found at discovery.

    Both are kept, because somebody chose them: nvpmodel its cap, an administrator a floor. Two
    cases are corrected. A clock that is pinned (min = max, as `jetson_clocks` leaves it) keeps only
    its cap, else no lease could do anything. A cap between two table entries, or a floor above the
    cap, is no reason to be left without any entry: the table's lowest always remains.
    """
    high_hz = max(high_hz or table_hz[-1], table_hz[0])
    pinned_or_empty = not any(low_hz <= hz <= high_hz for hz in table_hz) or low_hz >= high_hz
    return (table_hz[0] if pinned_or_empty else low_hz), high_hz
