"""A trained clip model in one safetensors file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from e4_ros.vision.clips.gates import ClipGate, make_gate
from e4_ros.vision.clips.net import ClipNet, NetSettings
from e4_ros.vision.exit_checkpoint import CheckpointError

_FORMAT = 'e4_ros.clips/1'


@dataclass
class ClipModel:
    """A network over frames, its gate, and when to stop.

    Attributes:
        backbone: key of the frozen network whose features it learned from.
        settings: shape of the network.
        net: in eval mode.
        gate: in eval mode.
        class_names: what a label means, by index.
        threshold: of the gate's score, 0 to 1.
        notes: whatever says where it comes from.
    """

    backbone: str
    settings: NetSettings
    net: ClipNet
    gate: ClipGate
    class_names: list[str]
    threshold: float
    notes: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the file whole or not at all."""
        about = {
            'backbone': self.backbone,
            'settings': self.settings.as_dict(),
            'class_names': self.class_names,
            'threshold': self.threshold,
            'notes': self.notes,
        }
        tensors = {
            f'{part}.{name}': tensor.contiguous()
            for part, module in (('net', self.net), ('gate', self.gate))
            for name, tensor in module.state_dict().items()
        }
        scratch = path.with_name(f'{path.name}.part')
        save_file(tensors, scratch, {'format': _FORMAT, 'about': json.dumps(about)})
        scratch.replace(path)


def load_clip_model(path: Path, backbone: str, class_names: list[str] | None = None) -> ClipModel:
    """Read a clip model.

    Args:
        path: of the file.
        backbone: key of the backbone that it will be used with.
        class_names: that it must tell apart; None to take any.

    Raises:
        CheckpointError: the file is damaged, or was trained on another backbone or other classes.
    """
    try:
        with safe_open(path, 'pt') as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f'{path} cannot be read as a checkpoint: {error}') from error
    if metadata.get('format') != _FORMAT:
        raise CheckpointError(f'{path} holds no clip model ({_FORMAT}); make one with `e4 train`')
    try:
        about = json.loads(metadata['about'])
        settings = NetSettings(**about.pop('settings'))
        net, gate = ClipNet(settings), make_gate(settings)
        for part, module in (('net.', net), ('gate.', gate)):
            module.load_state_dict(
                {k.removeprefix(part): v for k, v in tensors.items() if k.startswith(part)}
            )
        model = ClipModel(settings=settings, net=net.eval(), gate=gate.eval(), **about)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f'{path} is damaged: {error}') from error
    if model.backbone != backbone:
        raise CheckpointError(f'{path} was trained on {model.backbone}, not on {backbone}')
    if class_names is not None and class_names != model.class_names:
        raise CheckpointError(
            f'{path} tells {model.class_names} apart; the class list {class_names} does not match'
        )
    return model
