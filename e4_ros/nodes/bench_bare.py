"""The least that any ROS node with these networks must do: import, load, run once.

Run as a script with the ONNX files as arguments, so that nothing of this package is imported.
"""

import sys

import cv2  # noqa: F401
import numpy as np
import onnxruntime
import rclpy  # noqa: F401


def _run(path: str) -> None:
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    session.run(None, {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs()})


if __name__ == '__main__':
    for name in sys.argv[1:]:
        _run(name)
    print('done', flush=True)
