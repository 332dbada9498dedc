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

"""Watches over the exits: audits after answers, and what diagnostics and log say of them."""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager, nullcontext

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.impl.rcutils_logger import RcutilsLogger

from e4_ros.nodes.diagnostics import status
from e4_ros.perception.perceiver import Perceiver
from e4_ros.perception.records import FrameRecord
from e4_ros.vision.inference.clip_engine import ClipEngine

PATIENCE_S = 10.0
"""Seconds for which tracks may cost too much before the diagnostics warn."""

_TOO_MUCH = 1.5  # times the risk that was asked for


class ExitWatch:
    """Audits early answers of a perceiver and tells which exits are on, off or at rest.

    It also tells what the tracks cost, and warns where that stays far above what was asked.

    Args:
        log: Gets what is to be told.
        perceiver: Whose exits they are.
        bundle: Folder of the bundle that they came from.
        check_pay: Whether exits that do not pay here rest. What they cost is measured on the first
            image, when its answer is out: no answer waits for it, and the camera's size counts.
    """

    def __init__(
        self, log: RcutilsLogger, perceiver: Perceiver, bundle: str, check_pay: bool
    ) -> None:
        self._log, self._perceiver, self._bundle = log, perceiver, bundle
        self._unmeasured = check_pay
        self._well_s = time.monotonic()  # when the tracks last cost no more than they may
        for name in perceiver.engine.off:
            log.warning(self._complaint(name))

    def audit(
        self,
        frame: np.ndarray,
        record: FrameRecord,
        between_frames: AbstractContextManager[object] | None = None,
    ) -> None:
        """Take one pass for the audit that runs, if any, now that an answer is out.

        After the first one the exits are measured instead, which takes some ten frames' time.

        Args:
            frame: What was answered last.
            record: What came of it.
            between_frames: Held meanwhile, so that the clocks' plan is not replaced.
        """
        with between_frames or nullcontext():
            if self._unmeasured:
                self._measure(frame)
                return
            audit = self._perceiver.audit(frame, record)
        if audit is not None and audit.switched_off:
            self._log.warning(self._complaint(audit.exit))

    def _measure(self, frame: np.ndarray) -> None:
        self._unmeasured = False
        for verdict in self._perceiver.check_pay(frame):
            self._log.info(verdict)

    def status(self) -> DiagnosticStatus:
        """A warning while an exit is off; else what the audits found so far."""
        engine, audits = self._perceiver.engine, self._perceiver.audits
        values = audits.facts() | {f'off.{name}': why for name, why in engine.off.items()}
        if engine.economics is not None:
            values['at_rest'] = ', '.join(engine.economics.resting)
            values |= {f'pays.{name}': text for name, text in engine.economics.verdicts.items()}
        values |= self._risk_values()
        complaints = [self._complaint(name) for name in engine.off]
        wrong = ' '.join([*complaints, *self._risk_complaint()])
        means = ', '.join(f'{name} {mean:.3f}' for name, mean in audits.means.items())
        fine = f'{audits.count} answers audited in {audits.passes} passes of the network'
        fine += f', mean loss {means}' if means else ''
        risk = self._perceiver.risk
        if math.isfinite(risk.seen):
            fine += f'; tracks cost {risk.seen:.3f} of the {risk.asked:g} that they may'
        if isinstance(engine, ClipEngine):
            fine = ' '.join(engine.notes)
        return status('exits', wrong, fine, values)

    def _risk_values(self) -> dict[str, str]:
        risk = self._perceiver.risk
        if math.isnan(risk.asked):
            return {}
        return {
            'risk_asked': f'{risk.asked:g}',
            'risk_seen': f'{risk.seen:.3f}',
            'key_frame_rate': f'{risk.key_frame_rate:.3f}',
        }

    def _risk_complaint(self) -> list[str]:
        risk, now_s = self._perceiver.risk, time.monotonic()
        if not risk.seen > _TOO_MUCH * risk.asked:
            self._well_s = now_s
        if now_s - self._well_s < PATIENCE_S:
            return []
        return [
            f'Tracks cost {risk.seen:.2f} a frame where {risk.asked:g} was asked, although the '
            f'network runs on {risk.key_frame_rate:.0%} of the images: this camera shows what they '
            'cannot follow. Set controller to full to run it on every image, or raise risk.'
        ]

    def _complaint(self, name: str) -> str:
        return (
            f'Exit {name} is {self._perceiver.engine.off[name]}. Record what the camera sees now, '
            f'run `e4 calibrate RECORDING --model {self._bundle}` (or `e4 fit` first, where that '
            'certifies nothing), and restart perception.'
        )
