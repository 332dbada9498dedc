"""Make e4_ros/weights/pedestrian_ssdlite.exits.safetensors.

Fits the exits of the pedestrian detector to the earlier part of the two videos that ship in
packages: frames 0 to 449 of vtest.avi, 0 to 149 of bikes.mp4. What comes later in the videos is for
measuring.

    python scripts/distil_pedestrian_exits.py
"""

from __future__ import annotations

from itertools import islice

from rich.progress import Progress

from e4_ros.evaluation.sources import open_source
from e4_ros.vision.checkpoint import default_path
from e4_ros.vision.fit import FitSettings, fit
from e4_ros.vision.zoo import load_model

LESSONS = {'vtest': 450, 'bikes': 150}
CUT = 'add_1'  # stride 8; in ONNX Runtime 38 per cent of the full network's time lie before it


def main() -> None:
    """Fit and save."""
    model = load_model('pedestrian_ssdlite')
    clips = [list(islice(open_source(name), count)) for name, count in LESSONS.items()]
    with Progress() as bars:
        tasks: dict[str, int] = {}

        def show(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            bars.update(tasks[phase], completed=done)

        checkpoint = fit(model, clips, FitSettings(cut=CUT), show)
    checkpoint.notes['lessons'] = LESSONS
    checkpoint.save(default_path(model.name))


if __name__ == '__main__':
    main()
