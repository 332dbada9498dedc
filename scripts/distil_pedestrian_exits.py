"""Make e4_ros/weights/pedestrian_ssdlite.exits.safetensors.

One exit at stride 8 of the pedestrian detector, taught by the full network on the earlier part of
the two videos that ship in packages: frames 0 to 449 of vtest.avi, 0 to 149 of bikes.mp4. The next
50 and 100 frames say how often it may disagree before the audit switches it off; what comes later
is for measuring.

These are the exits that everybody gets, so they are careful ones: taught by the full network, with
a high threshold, and nothing learnt that would be sure of itself on a camera it never saw. What
specialises to a camera comes from that camera's footage: `e4 fit`.

    python scripts/distil_pedestrian_exits.py
"""

from __future__ import annotations

import argparse
from itertools import islice

import torch
from rich.progress import Progress

from e4_ros.evaluation.sources import open_source
from e4_ros.vision.calibrate import Promise, observe
from e4_ros.vision.checkpoint import Checkpoint, Exit, default_path, network_hash
from e4_ros.vision.distil import make_head, prepare, train_head
from e4_ros.vision.probe import Probe
from e4_ros.vision.zoo import load_model

CUT = 'add_1'  # stride 8, 38 per cent of the full network's time in ONNX Runtime
LESSONS = {'vtest': 450, 'bikes': 150}
HELD_OUT = {'vtest': 50, 'bikes': 100}  # the frames behind
THRESHOLDS = {'temporal': 0.75, 'exit1': 0.6}


def main() -> None:
    """Distil and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--epochs', type=int, default=12)
    parser.add_argument('--views', type=int, default=4)
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args()

    model = load_model('pedestrian_ssdlite')
    frames, held_out = [], []
    for name, count in LESSONS.items():
        clip = list(islice(open_source(name), count + HELD_OUT[name]))
        frames += [frame for _, frame in clip[:count]]
        held_out.append(clip[count:])
    probe = Probe(model, [CUT])
    with Progress() as bars:

        def bar(title: str):
            task = bars.add_task(title, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        asked = bar('teacher')
        answers = []
        for frame in frames:
            probe.see(frame)
            answers.append(probe.answer(frame.shape))
            asked(len(answers), len(frames))
        (lessons,) = prepare(
            model, probe, 1, frames, answers, arguments.views, arguments.seed, bar('features')
        )
        torch.manual_seed(arguments.seed)
        head = make_head('detect', lessons.features[0].shape[0], len(model.class_names), depth=3)
        history = train_head(
            head,
            lessons,
            model.input_size,
            arguments.epochs,
            arguments.seed,
            progress=bar('head'),
        )
    print('loss of each epoch:', ' '.join(f'{loss:.2f}' for loss in history))
    checkpoint = Checkpoint(
        model.name,
        network_hash(model.network),
        [Exit('exit1', CUT, head)],
        thresholds=THRESHOLDS,
        notes={'teacher': 'full', 'lessons': LESSONS, **vars(arguments)},
    )
    audited = observe(model, checkpoint, held_out, Promise())['audit']
    print('bounds of the audit:', audited)
    checkpoint.notes['audit'] = audited
    checkpoint.save(default_path(model.name))


if __name__ == '__main__':
    main()
