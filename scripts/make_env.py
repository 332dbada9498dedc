#!/usr/bin/env python3
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

"""Make the environment: a virtual one with ROS 2 Jazzy and what a lock file pins, ready for colcon.

Needs only a Python 3.10 to 3.13 with `venv`, its headers, cmake and a C++ compiler. Run by `make`:
`requirements/lock-robot.txt` is what running needs, `requirements/lock.txt` has torch and the tools
besides. Nothing is removed, so either may come first; running it again installs only what changed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = 'uv==0.13.8'
SYSTEM_CERTIFICATES = Path('/etc/ssl/certs/ca-certificates.crt')
# uv's list of every package that came or went: hundreds of lines that nobody reads.
INSTALLED_LINE = re.compile(r' [-+~] ')
# Where the wheels were built; their exported CMake targets still point there.
BUILD_INCLUDE = re.compile(r'/opt/python/cp3\d+-cp3\d+/include/python3\.\d+')
BUILD_SITE = re.compile(r'/opt/python/cp3\d+-cp3\d+/lib/python3\.\d+/site-packages')


def check_machine() -> list[str]:
    """Say what is missing, each with the command that brings it on Debian and Ubuntu."""
    problems = []
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        version = '.'.join(map(str, sys.version_info[:2]))
        problems.append(
            f'Python {version} has no ROS 2 wheels; use 3.10 to 3.13: `make PYTHON=python3.12`'
        )
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        problems.append('the venv module is missing: `sudo apt install python3-venv`')
    if not (Path(sysconfig.get_paths()['include']) / 'Python.h').exists():
        problems.append("Python's headers are missing: `sudo apt install python3-dev`")
    if not shutil.which('cmake'):
        problems.append('cmake is missing: `sudo apt install cmake`')
    if not (shutil.which('c++') or os.environ.get('CXX')):
        problems.append('a C++ compiler is missing: `sudo apt install g++`')
    return problems


def run(*command: str | Path, hide: re.Pattern[str] | None = None) -> None:
    """Run a command, less the lines to hide, and end the program if it fails."""
    words = [str(part) for part in command]
    process = subprocess.Popen(
        words, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    for line in process.stdout:
        if hide is None or not hide.match(line):
            print(line, end='', flush=True)
    if status := process.wait():
        sys.exit(f'make_env: `{" ".join(words)}` failed with status {status}')


def said(*command: str | Path) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def install(venv: Path, lock: Path) -> None:
    """Create `venv` if it is missing and bring it to the versions of `lock`."""
    python = venv / 'bin' / 'python'
    if not python.exists():
        print(f'making {venv} with Python {sys.version.split()[0]}', flush=True)
        run(sys.executable, '-m', 'venv', venv)
    uv = venv / 'bin' / 'uv'
    if not uv.exists() or UV not in said(uv, '--version').replace(' ', '=='):
        run(python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', UV)
    if SYSTEM_CERTIFICATES.exists():  # those of a company's proxy are only there
        os.environ.setdefault('UV_SYSTEM_CERTS', '1')
    # An activated environment elsewhere must not be the one that is filled.
    os.environ.pop('VIRTUAL_ENV', None)
    print(f'installing what {lock} pins ...', flush=True)
    # The lock is whole; asked again, packages would bring what it leaves out on purpose.
    run(uv, 'pip', 'install', '--python', python, '--no-deps', '-r', lock, hide=INSTALLED_LINE)
    run(uv, 'pip', 'install', '--quiet', '--python', python, '--no-deps', '--editable', ROOT)


def patch_exports(venv: Path) -> int:
    """Point the wheels' CMake exports at this interpreter and this environment.

    Files are replaced, not edited in place: the installer may have hard-linked them to its cache.
    """
    include = sysconfig.get_paths()['include']
    library = f'python{sys.version_info.major}.{sys.version_info.minor}'
    site = str(venv / 'lib' / library / 'site-packages')
    patched = 0
    for path in (venv / 'share').rglob('*.cmake'):
        before = path.read_text()
        after = BUILD_SITE.sub(lambda _: site, BUILD_INCLUDE.sub(lambda _: include, before))
        if after != before:
            fresh = path.with_suffix('.new')
            fresh.write_text(after)
            fresh.replace(path)
            patched += 1
    return patched


def main() -> None:
    """Check, install, patch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--venv', type=Path, default=ROOT / '.venv')
    parser.add_argument('--lock', type=Path, default=ROOT / 'requirements' / 'lock.txt')
    options = parser.parse_args()
    venv = options.venv.absolute()
    problems = check_machine()
    if problems:
        sys.exit('\n'.join(['this machine lacks:', *(f'  * {problem}' for problem in problems)]))
    install(venv, options.lock)
    patch_exports(venv)
    print(f'environment ready: {venv}')


if __name__ == '__main__':
    main()
