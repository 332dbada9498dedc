from __future__ import annotations

from itertools import islice
from pathlib import Path

import cv2
import pytest

from e4_ros.evaluation.sources import open_source


@pytest.fixture(scope='session')
def people(tmp_path_factory) -> Path:
    """A folder with six real frames in which the network finds somebody."""
    folder = tmp_path_factory.mktemp('people')
    for index, (_, frame) in enumerate(islice(open_source('bikes'), 120, 126)):
        cv2.imwrite(str(folder / f'{index}.png'), frame[..., ::-1])
    return folder
