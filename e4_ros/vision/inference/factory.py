"""From the names a user knows to an engine that is ready to run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from e4_ros.vision.exit_checkpoint import (
    Checkpoint,
    CheckpointError,
    default_path,
    load,
    network_hash,
)
from e4_ros.vision.inference.audit import DEFAULT_SHARE, Auditor
from e4_ros.vision.inference.audit_record import AuditRecord
from e4_ros.vision.inference.engine import EarlyExitEngine
from e4_ros.vision.inference.policy import FULL, TEMPORAL, FullPolicy, ThresholdPolicy
from e4_ros.vision.model import VisionModel
from e4_ros.vision.models import load_model
from e4_ros.vision.runtime.devices import ALLOW_SPINNING, AUTO, on_device
from e4_ros.vision.runtime.factory import candidates, make_runtime
from e4_ros.vision.runtime.interfaces import RuntimeUnavailableError
from e4_ros.vision.runtime.precision import FP32, check_precision

POLICIES = ('full', 'e4')
_BOUNDS = 0.02, 0.98  # a wager needs room on both sides
_DEFAULT_THRESHOLDS = {TEMPORAL: 0.75}


def build(
    model_name: str,
    policy: str = 'e4',
    runtime: str = 'onnxruntime',
    threads: int | None = None,
    checkpoint: Path | None = None,
    min_score: float = 0.2,
    audit_share: float = DEFAULT_SHARE,
    keep_audits: bool = False,
    precision: str = FP32,
    device: str = AUTO,
    allow_spinning: bool = ALLOW_SPINNING,
) -> EarlyExitEngine:
    """An engine for a model of the zoo with the exits that were fitted for it.

    Args:
        model_name: a name of `zoo.names()`.
        policy: ``full`` or ``e4``.
        runtime: ``onnxruntime`` or ``torch``.
        threads: threads within one operation; None for one per core.
        checkpoint: exits from `e4 fit`; by default those that ship for the model, if any.
        min_score: detections that score less are left out.
        audit_share: share of early answers that `EarlyExitEngine.audit` checks.
        keep_audits: an exit that an audit switched off stays off in later processes, too, until
            its checkpoint is another; for a robot, not for footage that is run again and again.
        precision: of the stages, one of `reduced_stages.PRECISIONS`; all but fp32 are made by
            `e4 precision`.
        device: device that runs the network, one of `devices.NAMES`; ``auto`` takes the best that
            is here and computes what the CPU computes.
        allow_spinning: whether threads wait for each other within a run by spinning.

    Raises:
        DeviceError: the device is not here, fails, or computes something else than the CPU.
        ValueError: an unknown name, a checkpoint that does not fit, or a precision that was not
            made, or not the one that thresholds were certified in.
    """
    if policy not in POLICIES:
        raise ValueError(f'there is no policy {policy!r}; choose one of {POLICIES}')
    model = load_model(model_name)
    check_precision(precision)
    fp16 = precision == 'fp16'
    if runtime == 'torch' and precision != FP32:
        raise RuntimeUnavailableError(f'the runtime torch has no {precision}, only {FP32}')
    if policy == FULL:

        def assemble(name: str) -> EarlyExitEngine:
            runner = make_runtime(runtime, threads, name, fp16, allow_spinning)
            return EarlyExitEngine(
                model, FullPolicy(), runner, min_score=min_score, precision=precision
            )

        return on_device(device, assemble, candidates(runtime))
    fitted = _fitted(model, checkpoint)
    _check_promise(fitted, precision)

    def assemble_with_exits(name: str) -> EarlyExitEngine:
        return EarlyExitEngine(
            model,
            ThresholdPolicy(fitted.thresholds),
            make_runtime(runtime, threads, name, fp16, allow_spinning),
            fitted.exits,
            fitted.temporal,
            min_score,
            _auditor(fitted, audit_share, _record(model, checkpoint) if keep_audits else None),
            fitted.notes.get('rates'),
            precision,
        )

    return on_device(device, assemble_with_exits, candidates(runtime))


def _fitted(model: VisionModel, path: Path | None) -> Checkpoint:
    if path is None and not default_path(model.name).is_file():
        weights = network_hash(model.network)
        return Checkpoint(model.name, weights, thresholds=dict(_DEFAULT_THRESHOLDS))
    return load(path or default_path(model.name), model)


def _check_promise(fitted: Checkpoint, precision: str) -> None:
    promised_in = fitted.notes.get('precision', FP32)
    if 'risk' in fitted.notes and precision != promised_in:
        raise CheckpointError(
            f'what these exits promise was certified in {promised_in}, not in {precision}: run '
            f'`e4 calibrate` with --precision {precision}'
        )


def _auditor(fitted: Checkpoint, share: float, record: AuditRecord | None) -> Auditor:
    audits = fitted.notes.get('audit', {})
    bounds = {name: float(np.clip(audits[name]['bound'], *_BOUNDS)) for name in audits}
    return Auditor(bounds, share, fitted.notes.get('confidence', 0.95), record)


def _record(model: VisionModel, path: Path | None) -> AuditRecord:
    path = path or default_path(model.name)
    if not path.is_file():
        return AuditRecord(f'{network_hash(model.network)}-without-exits')
    return AuditRecord(hashlib.sha256(path.read_bytes()).hexdigest()[:32])
