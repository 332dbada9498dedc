"""How a stage of a network becomes something that runs, and where; needs no torch.

>>> from e4_ros.vision.runtime import make_runtime
>>> make_runtime('onnxruntime', threads=1).buffer((1, 3)).read().shape
(1, 3)
"""

from e4_ros.vision.runtime.factory import candidates, make_runtime
from e4_ros.vision.runtime.interfaces import (
    RUNTIMES,
    Buffer,
    CompiledProgram,
    Program,
    Runtime,
    RuntimeUnavailableError,
)

__all__ = [
    'RUNTIMES',
    'Buffer',
    'CompiledProgram',
    'Program',
    'Runtime',
    'RuntimeUnavailableError',
    'candidates',
    'make_runtime',
]
