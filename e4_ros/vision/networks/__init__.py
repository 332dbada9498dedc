"""Networks that can be cut into stages, whatever they are made of."""

from e4_ros.vision.networks.network import Cut, Network, StageError, nearest_cuts

__all__ = ['Cut', 'Network', 'StageError', 'nearest_cuts']
