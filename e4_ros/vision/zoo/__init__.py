"""Pretrained networks by name."""

from __future__ import annotations

from collections.abc import Callable

from e4_ros.vision.model import ModelError, VisionModel


def _pedestrian_ssdlite() -> VisionModel:
    from e4_ros.vision.zoo.pedestrian import PedestrianSsdlite

    return PedestrianSsdlite()


_BUILT_IN: dict[str, Callable[[], VisionModel]] = {'pedestrian_ssdlite': _pedestrian_ssdlite}


def names() -> list[str]:
    """Every name that `load_model` knows."""
    return list(_BUILT_IN)


def load_model(name: str) -> VisionModel:
    """Build a network and load its weights.

    Raises:
        ModelError: no such name, or its weights cannot be had.
    """
    if name not in _BUILT_IN:
        raise ModelError(f'no model is called {name!r}; there are: {", ".join(names())}')
    return _BUILT_IN[name]()
