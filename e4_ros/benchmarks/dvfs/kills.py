"""Kills clients and helpers at random moments, and looks whether every original comes back.

Every trial draws a board, a kernel generation, originals, a plan and a moment. Helper and client
are forked processes (an interpreter's start would take longer than the moments that matter), the
kills are real SIGKILLs, and the boards are FUSE file systems with the kernel's rules (plain trees
where there is no FUSE).
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from e4_ros.benchmarks.dvfs.bench_plans import random_plan
from e4_ros.energy.boards import board_names
from e4_ros.energy.client import DvfsClient
from e4_ros.energy.daemon import Helper, HelperConfig
from e4_ros.energy.discovery import discover
from e4_ros.energy.virtual_board import write_tree
from e4_ros.energy.virtual_mount import mounted, why_not

VICTIMS = ('client', 'helper', 'client, then helper', 'helper by SIGTERM')
RESTORE_S = 0.2
_PATIENCE_S = 5.0
_LONGEST_LIFE_S = 0.06

_GOVERNORS = ('scaling_governor', 'governor')
_RANGES = {
    'scaling_max_freq': ('scaling_min_freq', 'scaling_available_frequencies'),
    'max_freq': ('min_freq', 'available_frequencies'),
}

Originals = dict[Path, str]


@dataclass
class KillResult:
    """What was tried and what came back.

    Attributes:
        lost: trials after which an original never came back, each described.
        restore_ms: how long it took, for each trial that has come back.
        tried: (board, kernel, victim) → trials.
        taken: trials in which the clocks were taken at the moment of the kill.
    """

    lost: list[str] = field(default_factory=list)
    restore_ms: list[float] = field(default_factory=list)
    tried: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    taken: int = 0

    def summary(self) -> dict[str, object]:
        """As `e4 bench dvfs` writes it."""
        ordered = sorted(self.restore_ms) or [0.0]
        by_victim: Counter[str] = Counter()
        for (_, _, victim), count in self.tried.items():
            by_victim[victim] += count
        return {
            'tried': self.tried.total(),
            'clocks_taken': self.taken,
            'lost': len(self.lost),
            'late': sum(ms > 1000 * RESTORE_S for ms in self.restore_ms),
            'restore_ms': {
                'p50': round(ordered[len(ordered) // 2], 1),
                'max': round(ordered[-1], 1),
            },
            'by_victim': dict(by_victim),
            'by_board': [
                {'board': board, 'kernel': kernel, 'tried': count}
                for (board, kernel), count in sorted(self._by_board().items())
            ],
            'lost_trials': self.lost,
        }

    def _by_board(self) -> Counter[tuple[str, str]]:
        counts: Counter[tuple[str, str]] = Counter()
        for (board, kernel, _), count in self.tried.items():
            counts[board, kernel] += count
        return counts


def run_kills(
    trials: int, seed: int = 1, boards: int | None = None, told: Callable[[], None] = lambda: None
) -> KillResult:
    """Try `trials` kills.

    Args:
        trials: how many.
        seed: of everything random.
        boards: how many boards take part; None for all.
        told: called after each trial.
    """
    rng = random.Random(seed)
    result = KillResult()
    with tempfile.TemporaryDirectory(prefix='e4') as name, contextlib.ExitStack() as stack:
        roots = list(_boards(Path(name), stack, rng, boards))
        for number in range(trials):
            board, kernel, root = roots[number % len(roots)]
            victim = VICTIMS[number // len(roots) % len(VICTIMS)]
            folder = Path(name) / f't{number}'
            taken, lost, restore_s = _trial(rng, root, folder, victim)
            result.taken += taken
            result.tried[board, kernel, victim] += 1
            if lost:
                result.lost.append(f'trial {number}, {board}, {kernel}, {victim}: {lost}')
            else:
                result.restore_ms.append(1000 * restore_s)
            told()
    return result


def _boards(
    folder: Path, stack: contextlib.ExitStack, rng: random.Random, most: int | None
) -> Iterator[tuple[str, str, Path]]:
    names = board_names()
    for name in rng.sample(names, min(most or len(names), len(names))):
        if why_not() is not None:
            yield name, 'plain', write_tree(name, folder / name)
            continue
        for kernel in ('old', 'new'):
            mount = folder / f'{name}-{kernel}'
            mount.mkdir()
            yield name, kernel, stack.enter_context(mounted(name, mount, kernel))


def _trial(rng: random.Random, root: Path, folder: Path, victim: str) -> tuple[bool, str, float]:
    """Whether clocks were taken, what did not come back (empty: nothing), the seconds it took."""
    _shuffle_originals(rng, root)
    before = _originals(root)
    config = HelperConfig(root=root, state_dir=folder / 'state', socket_path=folder / 's')
    helper = _fork_helper(config)
    client = _fork_client(config.socket_path, rng.getrandbits(64))
    journal = config.state_dir / 'originals.json'
    # Some moments count from the client's start, most from when it has taken the clocks.
    if rng.random() < 0.8:
        until = time.monotonic() + _PATIENCE_S
        while not journal.exists() and time.monotonic() < until:
            time.sleep(0.0005)
    time.sleep(rng.uniform(0, _LONGEST_LIFE_S))
    taken = journal.exists()
    began = time.monotonic()
    second = None
    if victim == 'client':
        _kill(client)
    elif victim == 'helper by SIGTERM':
        os.kill(helper, signal.SIGTERM)
    else:
        if victim == 'client, then helper':
            _kill(client)
            time.sleep(rng.uniform(0, 0.01))
        _kill(helper)
        began = time.monotonic()
        second = _fork_helper(config, wait=False)
    lost, restore_s = _wait_for(before, began)
    for process in (client, helper, second):
        if process is not None:
            _end(process)
    if not lost and journal.exists():
        lost = 'a journal was left behind'
    return taken, lost, restore_s


def _wait_for(before: Originals, began: float) -> tuple[str, float]:
    while True:
        now = {path: _text(path) for path in before}
        elapsed_s = time.monotonic() - began
        if now == before:
            return '', elapsed_s
        if elapsed_s > _PATIENCE_S:
            return _difference(before, now), elapsed_s
        time.sleep(0.001)


def _difference(before: Originals, now: Originals) -> str:
    return '; '.join(
        f'{path} is {now[path]!r}, was {text!r}'
        for path, text in before.items()
        if now[path] != text
    )


def _originals(root: Path) -> Originals:
    """Everything that a lease may change."""
    names = [name for domain in discover(root) for name in domain.snapshot()]
    return {root / name: _text(root / name) for name in names}


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        return f'unreadable: {error}'


def _shuffle_originals(rng: random.Random, root: Path) -> None:
    """Leave other governors and limits behind, as a power mode or an administrator would."""
    for path in _originals(root):
        if path.name in _GOVERNORS:
            offered = next(path.parent.glob('*available_governors'))
            _try_write(path, rng.choice(offered.read_text().split()))
        elif path.name in _RANGES:
            low, table = (path.with_name(name) for name in _RANGES[path.name])
            if table.exists():
                hertz = sorted(table.read_text().split(), key=int)
                first, last = sorted(rng.choices(range(len(hertz)), k=2))
                for file, text in ((low, hertz[0]), (path, hertz[last]), (low, hertz[first])):
                    _try_write(file, text)


def _try_write(path: Path, text: str) -> None:
    with contextlib.suppress(OSError):
        path.write_text(text)


def _fork_helper(config: HelperConfig, wait: bool = True) -> int:
    reading, writing = os.pipe()

    def be_helper() -> None:
        ending = []
        signal.signal(signal.SIGTERM, lambda *_: ending.append(True))
        with Helper(config):
            os.write(writing, b'!')
            while not ending:
                time.sleep(0.005)

    process = _fork(be_helper)
    os.close(writing)
    if wait and os.read(reading, 1) != b'!':
        raise RuntimeError('the helper did not start')
    os.close(reading)
    return process


def _fork_client(socket_path: Path, seed: int) -> int:
    def be_client() -> None:
        rng = random.Random(seed)
        client = DvfsClient(socket_path)
        client.acquire('victim')
        while True:
            plan = random_plan(rng, client.board, client.frequencies_hz)
            client.set_plan(plan)
            for _ in range(rng.randint(1, 30)):
                path = rng.randrange(len(plan.paths))
                client.step(path, rng.randrange(len(plan.segments)))
                time.sleep(rng.choice((0, 0, 0.0005, 0.002)))

    return _fork(be_client)


def _fork(be: Callable[[], None]) -> int:
    gc.freeze()
    process = os.fork()
    if process:
        return process
    try:
        be()
    except BaseException:  # the parent sees the exit status, and nobody a traceback
        os._exit(1)
    os._exit(0)


def _kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def _end(process: int) -> None:
    """End a process in order; it may have ended, and been waited for, already."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(process, signal.SIGTERM)
        os.waitpid(process, 0)
