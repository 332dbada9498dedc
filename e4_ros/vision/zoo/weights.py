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

"""Weights files into networks, with errors that say what does not fit."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Union

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from e4_ros.vision.model import ModelError

#: Where weights come from: one of the two words, or a file with a state dict.
Weights = Union[str, 'PathLike[str]']
PRETRAINED = 'pretrained'
RANDOM = 'random'

# Under which key training scripts save the state dict beside optimiser and epoch, in the order in
# which they are looked for: torchvision's references and detectron's, Lightning's and timm's.
_KEYS = ('model', 'state_dict', 'model_state_dict', 'weights')
_SAVE = "save the weights alone, torch.save(model.state_dict(), 'weights.pth'), and give that file"


def file_of(weights: Weights) -> str:
    """Name of the file that weights came in; empty where they came in none."""
    return '' if weights in (PRETRAINED, RANDOM) else Path(weights).name


def read_weights(path: Path) -> dict[str, Tensor]:
    """Named tensors of a ``.safetensors`` file or of a ``.pth`` as training scripts save it.

    The latter holds a state dict, or a dict with one as ``model``, ``state_dict``,
    ``model_state_dict`` or ``weights``. Nothing in it is run.

    Raises:
        ModelError: the file is missing, damaged, or holds something else, such as a whole module.
    """
    try:
        if path.suffix == '.safetensors':
            return load_file(path)
        # torchvision's and timm's training scripts save their command line's options, too, which
        # are plain values.
        with torch.serialization.safe_globals([argparse.Namespace]):
            found = torch.load(path, map_location='cpu', weights_only=True)
    except (OSError, EOFError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        if _is_program(error):
            raise ModelError(
                f'{path} holds more than weights, a whole pickled module as it seems, and opening '
                f'it would run code: {_SAVE}'
            ) from error
        raise ModelError(f'{path} cannot be read as weights: {error}') from error
    state = _state_dict(found)
    if state is None:
        raise ModelError(
            f'{path} holds no state dict (names and tensors), neither alone nor as '
            f'{", ".join(_KEYS)}: {_SAVE}'
        )
    return state


def fill(
    network: nn.Module, state: Mapping[str, Tensor], origin: str, classes: int | None = None
) -> None:
    """Load named tensors into a network, all of them.

    Batch counters, which only training reads, may be absent, and what wraps a network for training
    may have put a word before every name (``module.``, ``_orig_mod.``, ``model.``).

    Args:
        network: filled in place.
        state: the tensors.
        origin: their file, for error messages.
        classes: number of classes that the network was built for, for error messages.

    Raises:
        ModelError: a tensor is missing, left over or of another shape.
    """
    state = unwrapped(state, network)
    if classes is not None:
        check_classes(network, state, origin, classes)
    try:
        missing, left_over = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ModelError(f'{origin} does not fit {type(network).__name__}: {error}') from error
    missing = [name for name in missing if not name.endswith('num_batches_tracked')]
    if missing or left_over:
        raise ModelError(
            f'{origin} does not fit {type(network).__name__}: {len(missing)} tensors missing '
            f'{missing[:3]}, {len(left_over)} unknown {left_over[:3]}'
        )


def unwrapped(state: Mapping[str, Tensor], network: nn.Module) -> Mapping[str, Tensor]:
    """The tensors without the words that stand before all of their names and none of a network's.

    Args:
        state: the tensors by name.
        network: the network, without weights of its own yet.
    """
    own = network.state_dict().keys()
    while not own & state.keys() and all('.' in name for name in state):
        first = {name.partition('.')[0] for name in state}
        if len(first) != 1:
            break
        state = {name.partition('.')[2]: tensor for name, tensor in state.items()}
    return state


def check_classes(
    network: nn.Module, state: Mapping[str, Tensor], origin: str, classes: int
) -> None:
    """Refuse weights that tell another number of classes apart.

    Args:
        network: the network.
        state: the tensors, by the network's names.
        origin: their file.
        classes: number of classes that the network was built for.

    Raises:
        ModelError: says both numbers.
    """
    found = classes_of(network, state, classes)
    if found not in (None, classes):
        raise ModelError(
            f'{origin} tells {found} classes apart, but there are {classes} names: name each class '
            'in the order of training, one a line, in the file for --names'
        )


def classes_of(network: nn.Module, state: Mapping[str, Tensor], classes: int) -> int | None:
    """Number of classes of weights, from the tensors whose length goes with it.

    Args:
        network: the same network for another number of classes.
        state: the tensors, by the network's names.
        classes: that number.

    Returns:
        None where the tensors differ in something else.
    """
    counts = set()
    for name, ours in network.state_dict().items():
        theirs = state.get(name, ours)
        if theirs.shape == ours.shape:
            continue
        if not ours.dim() or theirs.shape[1:] != ours.shape[1:] or len(ours) % classes:
            return None
        counts.add(len(theirs) / (len(ours) // classes))
    if len(counts) > 1:
        return None
    count = counts.pop() if counts else classes
    return int(count) if count == int(count) else None


def _state_dict(found: Any) -> dict[str, Tensor] | None:
    """The state dict in what a file holds."""
    if not isinstance(found, dict):
        return None
    for key in _KEYS:
        if isinstance(found.get(key), dict):
            return _state_dict(found[key])
    return found if found and all(isinstance(v, Tensor) for v in found.values()) else None


def _is_program(error: Exception) -> bool:
    """Whether a file was refused because it names code."""
    return 'weights_only' in str(error) and any(
        word in str(error) for word in ('Unsupported global', 'TorchScript')
    )
