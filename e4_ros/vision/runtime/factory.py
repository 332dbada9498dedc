"""A runtime by its name; only the one that is asked for is imported."""

from __future__ import annotations

from e4_ros.vision.runtime.interfaces import RUNTIMES, Runtime, RuntimeUnavailableError


def make_runtime(name: str, threads: int | None = None) -> Runtime:
    """A runtime by its name.

    Args:
        name: ``onnxruntime`` (deployment) or ``torch`` (the reference).
        threads: threads within one operation; None leaves the choice to the runtime.

    Raises:
        RuntimeUnavailableError: there is no runtime of that name, or it is not installed.
    """
    if name == 'onnxruntime':
        from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime

        return OnnxRuntime(threads)
    if name == 'torch':
        try:
            from e4_ros.vision.runtime.torch_runtime import TorchRuntime
        except ModuleNotFoundError as error:
            raise RuntimeUnavailableError(
                f'the runtime torch needs {error.name}: install e4_ros[train]'
            ) from error
        return TorchRuntime()
    raise RuntimeUnavailableError(f'there is no runtime {name!r}; choose one of {RUNTIMES}')
