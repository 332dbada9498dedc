"""What this machine has, what it lacks, and what to do about it."""

from e4_ros.evaluation.doctor.check import Check
from e4_ros.evaluation.doctor.checkup import check_all

__all__ = ['Check', 'check_all']
