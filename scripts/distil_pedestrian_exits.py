"""Make the bundle e4_ros/weights/pedestrian_ssdlite.

One exit at stride 8 of the pedestrian detector, taught by the full network on the earlier part of
the two videos that ship in packages: frames 0 to 449 of vtest.avi, 0 to 149 of bikes.mp4. What
comes later is for measuring: too little to promise anything, so the audit has its default bound.

These are the exits that everybody gets, so they are careful ones: taught by the full network, with
a high threshold, and nothing learnt that would be sure of itself on a camera it never saw. That is
less than `e4 fit` does, which is for what specialises to a camera.

    python scripts/distil_pedestrian_exits.py
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import torch
from rich.progress import Progress, track

from e4_ros.evaluation.sources import open_source
from e4_ros.vision.bundle import shipped_bundle
from e4_ros.vision.exit_checkpoint import Checkpoint, Exit, network_hash
from e4_ros.vision.export.build import build_bundle
from e4_ros.vision.models import load_model
from e4_ros.vision.training.distillation import make_head, prepare, train_head
from e4_ros.vision.training.feature_extractor import feature_extractors

MODEL = 'pedestrian_ssdlite'
CUT = 'add_1'  # stride 8, 38 per cent of the full network's time in ONNX Runtime
LESSONS = {'vtest': 450, 'bikes': 150}
THRESHOLDS = {'temporal': 0.75, 'exit1': 0.6}


def main() -> None:
    """Distil and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--epochs', type=int, default=12)
    parser.add_argument('--views', type=int, default=4)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', type=Path, default=shipped_bundle(MODEL))
    options = parser.parse_args()

    model = load_model(MODEL)
    frames = [f for name, n in LESSONS.items() for _, f in islice(open_source(name), n)]
    probes, answers = feature_extractors(model, [CUT]), []
    probe = probes.copies[0]
    for frame in track(frames, 'teacher'):
        probe.see(frame)
        answers.append(probe.detections(frame.shape))
    with Progress() as bars:

        def bar(title: str):
            task = bars.add_task(title, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        (samples,) = prepare(
            model, probes, 1, frames, answers, options.views, options.seed, bar('features')
        )
        torch.manual_seed(options.seed)
        head = make_head('detect', samples.features[0].shape[0], len(model.class_names), depth=3)
        losses = train_head(
            head, samples, model.input_size, options.epochs, options.seed, progress=bar('head')
        )
    print('loss of each epoch:', ' '.join(f'{loss:.2f}' for loss in losses))
    checkpoint = Checkpoint(
        model.name,
        network_hash(model.network),
        [Exit('exit1', CUT, head)],
        thresholds=THRESHOLDS,
        notes={
            'teacher': 'full',
            'lessons': LESSONS,
            'epochs': options.epochs,
            'views': options.views,
            'seed': options.seed,
        },
    )
    build_bundle(model, options.out, checkpoint)


if __name__ == '__main__':
    main()
