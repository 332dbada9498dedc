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

"""A bundle's folder: read what a manifest lists and nothing else, write it whole or not at all.

A file's name carries a piece of its hash, so that a new one never takes the place of another that
somebody is about to read, and `bundle.json` is put in place last, by a rename: who reads meanwhile
has either the bundle before or the bundle after.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e4_ros.paths import weights_dir
from e4_ros.vision.bundle.manifest import FORMAT, BundleError, FileEntry, Manifest, digest, reason

MANIFEST = 'bundle.json'
_AGAIN = 'copy it again, or make it again with `e4 build MODEL --out DIR`'


def entry_of(stem: str, suffix: str, content: bytes) -> FileEntry:
    """The entry for a file's content, under a name that only this content has.

    Args:
        stem: beginning of the name.
        suffix: end of the name, with its dot.
        content: content of the file.
    """
    found = hashlib.sha256(content).hexdigest()
    return FileEntry(name=f'{stem}-{found[:8]}{suffix}', sha256=found, bytes=len(content))


def read_manifest(folder: Path) -> Manifest:
    """Read and check `bundle.json`.

    Raises:
        BundleError: the folder is no bundle, or its manifest is cut, edited, or of another version.
    """
    try:
        text = (folder / MANIFEST).read_text()
    except (FileNotFoundError, NotADirectoryError):
        what = 'has no bundle.json' if folder.is_dir() else 'is no folder'
        raise BundleError(
            f'{folder} is no bundle: it {what}. Make one with `e4 build MODEL --out DIR`'
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f'the bundle {folder} cannot be read: {error}') from error
    try:
        about = json.loads(text)
    except ValueError as error:
        raise BundleError(
            f'bundle.json of {folder} is cut or damaged ({error}): {_AGAIN}'
        ) from error
    _check_format(folder, about)
    if about.pop('digest', '') != digest(about):
        raise BundleError(
            f'bundle.json of {folder} was edited, and nothing vouches for it: {_AGAIN}. Thresholds '
            'are changed with `e4 bundle set`'
        )
    _drop_unlearnt(about)
    try:
        return Manifest.model_validate(about)
    except ValueError as error:
        raise BundleError(
            f'bundle.json of {folder} makes no sense ({reason(error)}): {_AGAIN}'
        ) from error


def read_file(folder: Path, entry: FileEntry) -> bytes:
    """A file's content, checked against the manifest.

    Raises:
        BundleError: it is missing, cut or edited.
    """
    try:
        content = (folder / entry.name).read_bytes()
    except FileNotFoundError:
        raise BundleError(f'the bundle {folder} lacks {entry.name}: {_AGAIN}') from None
    except OSError as error:
        raise BundleError(f'the bundle {folder} cannot be read: {error}') from error
    if len(content) != entry.bytes:
        raise BundleError(
            f'{entry.name} of the bundle {folder} has {len(content)} bytes in the place of '
            f'{entry.bytes}: it was cut or replaced; {_AGAIN}'
        )
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise BundleError(f'{entry.name} of the bundle {folder} was edited: {_AGAIN}')
    return content


def write_bundle(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Make a bundle, or replace the one that is there.

    Args:
        folder: the bundle's folder; one that exists must be empty, or a bundle of any version.
        manifest: content of `bundle.json`.
        files: content of the files that it lists, by name; those that lie in the folder already
            may be left out.

    Raises:
        BundleError: the folder holds something else.
        OSError: it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise BundleError(f'{folder} is a file; a bundle is a folder')
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / MANIFEST).is_file():
            raise BundleError(f'{folder} holds something else; choose a new folder for the bundle')
        _fill(folder, manifest, files)
        _drop_unlisted(folder, manifest)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f'.{folder.name}.', dir=folder.parent))
    try:
        scratch.chmod(0o755)
        _fill(scratch, manifest, files)
        scratch.replace(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def destination(folder: Path, out: Path | None) -> Path:
    """Where a changed bundle goes: elsewhere, or in the place of the one that is changed.

    Args:
        folder: the bundle as it is.
        out: folder of the changed bundle; None for the same.

    Raises:
        BundleError: the bundle ships with the package, where it must stay as it is.
    """
    if out is not None and out.resolve() != folder.resolve():
        return out
    if folder.resolve().parent == weights_dir().resolve():
        raise BundleError(
            f'{folder.name} ships with e4_ros and stays as it is: name a new folder with --out DIR'
        )
    return folder


def save_changed(
    folder: Path, manifest: Manifest, files: Mapping[str, bytes], out: Path | None = None
) -> Path:
    """Change a bundle in place, or write the changed one elsewhere.

    Args:
        folder: the bundle as it is.
        manifest: new content of `bundle.json`.
        files: content of the files that are new, by name.
        out: folder of the changed bundle; None or the same to change this one.

    Returns:
        The folder that was written.

    Raises:
        BundleError, OSError: see `write_bundle`.
    """
    target = destination(folder, out)
    if target == folder:
        write_bundle(folder, manifest, files)
        return folder
    kept = {e.name: read_file(folder, e) for e in manifest.files if e.name not in files}
    write_bundle(target, manifest, {**kept, **files})
    return target


def _fill(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    for entry in manifest.files:
        if not (folder / entry.name).is_file():
            _write(folder / entry.name, files[entry.name])
    _write(folder / MANIFEST, manifest.to_json().encode())


def _write(path: Path, content: bytes) -> None:
    scratch = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        with scratch.open('wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _drop_unlisted(folder: Path, manifest: Manifest) -> None:
    """Remove files of ours that no manifest lists any more; others are left alone."""
    listed = {entry.name for entry in manifest.files}
    for path in folder.iterdir():
        if path.suffix in ('.onnx', '.safetensors') and path.name not in listed:
            path.unlink()


def _drop_unlearnt(about: dict[str, Any]) -> None:
    """Older bundles of detectors have a threshold for a temporal exit that was never learnt."""
    thresholds = about.get('thresholds')
    if about.get('task') == 'detect' and not about.get('temporal') and isinstance(thresholds, dict):
        thresholds.pop('temporal', None)


def _check_format(folder: Path, about: object) -> None:
    found = about.get('format') if isinstance(about, dict) else None
    if found == FORMAT:
        return
    kind, _, version = FORMAT.partition('/')
    if isinstance(found, str) and found.startswith(f'{kind}/'):
        other = found.removeprefix(f'{kind}/')
        newer = other.isdigit() and int(other) > int(version)
        raise BundleError(
            f'{folder} is a bundle of the {"newer" if newer else "older"} format {found}; this '
            f'e4_ros reads {FORMAT}: '
            + ('update e4_ros, or ' if newer else '')
            + 'make it again with `e4 build`'
        )
    raise BundleError(f'{folder} holds the bundle of another program: its format is {found!r}')
