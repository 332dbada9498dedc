from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

_DETECTOR = Path(__file__).parents[3] / 'fixtures' / 'detector'


@pytest.fixture(scope='session')
def street() -> np.ndarray:
    """A frame with people, ``(H, W, 3)`` RGB."""
    file = sorted(_DETECTOR.glob('vtest_*.webp'))[0]
    return cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
