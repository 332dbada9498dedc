"""The quality of service that publishers offer."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo


def as_offered(offers: Sequence[TopicEndpointInfo], depth: int) -> QoSProfile:
    """The strictest profile that every publisher fulfils.

    Args:
        offers: Publishers of a topic; without any the profile is the one that all fulfil.
        depth: Of the queue.
    """
    profiles = [offer.qos_profile for offer in offers]
    reliable = all(p.reliability == ReliabilityPolicy.RELIABLE for p in profiles)
    latched = all(p.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in profiles)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE
        if profiles and reliable
        else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL
        if profiles and latched
        else DurabilityPolicy.VOLATILE,
    )
