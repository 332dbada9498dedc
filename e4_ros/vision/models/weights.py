"""Weights files into networks, with errors that say what does not fit."""

from __future__ import annotations

import pickle
from os import PathLike
from pathlib import Path
from typing import Union

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from e4_ros.vision.model import ModelError

#: Where weights come from: one of the two words, or a file with a state dict.
Weights = Union[str, 'PathLike[str]']
PRETRAINED = 'pretrained'
RANDOM = 'random'


def read_weights(path: Path) -> dict[str, Tensor]:
    """Named tensors of a ``.safetensors`` file or of a ``.pth`` with a state dict.

    Raises:
        ModelError: the file is missing, damaged, or holds something else.
    """
    try:
        if path.suffix == '.safetensors':
            return load_file(path)
        state = torch.load(path, map_location='cpu', weights_only=True)
    except (OSError, EOFError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        raise ModelError(f'{path} cannot be read as weights: {error}') from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f'{path} holds no state dict (names and tensors); save state_dict() alone')
    return state


def fill(network: nn.Module, state: dict[str, Tensor], origin: str) -> None:
    """Load named tensors into a network, all of them.

    Batch counters, which only training reads, may be absent.

    Raises:
        ModelError: a tensor is missing, left over or of another shape.
    """
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
