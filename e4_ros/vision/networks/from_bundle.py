"""A bundle's network taken out again, to be cut elsewhere and fitted anew."""

from __future__ import annotations

from pathlib import Path

from e4_ros.vision.bundle.bundle import load_bundle
from e4_ros.vision.bundle.join import joined_graph
from e4_ros.vision.networks.trainable import TrainableModel


def reopened(folder: Path) -> TrainableModel:
    """The network of a bundle, without its exits; needs neither its file nor torch.

    Raises:
        BundleError: the folder is no bundle, or that of a clip model.
    """
    from e4_ros.vision.networks.onnx_fold import folded
    from e4_ros.vision.networks.onnx_network import OnnxNetwork

    bundle = load_bundle(folder)
    manifest, graph = bundle.manifest, folded(joined_graph(bundle.network.stages))
    return TrainableModel(
        manifest.model,
        manifest.task,
        manifest.class_names,
        manifest.preprocessing,
        manifest.decoder,
        OnnxNetwork(graph, manifest.origin.network),
        manifest.origin.file,
        manifest.labels,
        manifest.origin.family,
        manifest.origin.recognised,
    )
