"""Exits fitted for the benchmark by `e4 fit`, once, and kept in the cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from e4_ros.benchmarks.exits.footage import FIT, SOURCE
from e4_ros.paths import cache_dir
from e4_ros.vision.bundle import BundleError, load_bundle
from e4_ros.vision.exit_checkpoint import network_hash
from e4_ros.vision.models.trainable import TrainableModel

VARIANTS = {'cascade': (), 'no_memory': ('--no-memory',), 'no_attention': ('--no-attention',)}
"""Options of `e4 fit` by the curve that shows what comes of them."""


class FittingError(OSError):
    """`e4 fit` failed; says with what."""


def fitted(
    model: TrainableModel, variants: Sequence[str], refit: bool, progress: Callable[[str], None]
) -> dict[str, Path]:
    """The bundles of these variants; what is missing is fitted, several at a time.

    Args:
        model: the detector.
        variants: of `VARIANTS`.
        refit: whether to fit even what is there.
        progress: called several times a second with the names of what is being fitted.

    Raises:
        FittingError: `e4 fit` failed.
    """
    paths = {name: path_of(model, VARIANTS[name]) for name in variants}
    waiting = [name for name, path in paths.items() if refit or not _usable(path, model)]
    at_once = max(len(os.sched_getaffinity(0)), 1)
    running: dict[str, subprocess.Popen[str]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                name = waiting.pop(0)
                running[name] = _start(model, VARIANTS[name], paths[name])
            for name, process in list(running.items()):
                if process.poll() is not None:
                    _finish(running.pop(name), VARIANTS[name])
            progress(', '.join(running))
            time.sleep(0.2)
    finally:
        for process in running.values():
            process.terminate()
    return paths


def command(model: TrainableModel, options: Sequence[str], out: Path) -> list[str]:
    """What a user would type, without the leading `e4`."""
    frames = str(FIT[1] - FIT[0])
    return ['fit', SOURCE, '--frames', frames, '--model', model.name, '--out', str(out), *options]


def path_of(model: TrainableModel, options: Sequence[str]) -> Path:
    """Where exits are kept: another file for another network, other footage or other options."""
    key = (network_hash(model.network), SOURCE, FIT, options)
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).hexdigest()
    folder = cache_dir() / 'bench'
    folder.mkdir(exist_ok=True)
    return folder / f'{digest}.bundle'


def _usable(path: Path, model: TrainableModel) -> bool:
    """Whether it is there, whole, and in the format of this version."""
    try:
        return load_bundle(path).manifest.model == model.name
    except BundleError:
        return False


def _start(model: TrainableModel, options: Sequence[str], out: Path) -> subprocess.Popen[str]:
    """One thread each: two fits side by side are done sooner than one after the other."""
    return subprocess.Popen(
        [sys.executable, '-m', 'e4_ros.cli', *command(model, options, out)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )  # fmt: skip


def _finish(process: subprocess.Popen[str], options: Sequence[str]) -> None:
    said, _ = process.communicate()
    if process.returncode:
        last = said.strip()[-2000:]
        raise FittingError(f'`e4 fit {" ".join(options)}` ended with {process.returncode}: {last}')
