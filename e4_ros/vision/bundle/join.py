"""A network's stages joined into one again: the network as somebody without exits would run it."""

from __future__ import annotations

from dataclasses import replace

from e4_ros.vision.bundle.program import StoredProgram
from e4_ros.vision.staged_network import NO_WORK, Part, StagedNetwork


def joined(network: StagedNetwork) -> StagedNetwork:
    """The same network uncut and without exits.

    A cut costs what the runtime could have fused over it, and what it takes to start another
    session: 6 % of the pedestrian detector's time in two stages.

    Args:
        network: the network in stages.
    """
    if len(network.stages) == 1:
        return network.without_exits()
    import onnx
    from onnx import compose

    first, *others = network.stages
    model = onnx.load_from_string(first.program.onnx())
    for index, stage in enumerate(others, 1):
        # Two stages may use the same names inside.
        following = compose.add_prefix(
            onnx.load_from_string(stage.program.onnx()), f'{index}/', rename_outputs=False
        )
        model = compose.merge_models(
            model, following, io_map=[(model.graph.output[0].name, f'{index}/x')]
        )
    program = StoredProgram(
        first.name, first.program.inputs, others[-1].program.outputs, model.SerializeToString()
    )
    work = sum((stage.work for stage in network.stages), NO_WORK)
    return replace(network.without_exits(), stages=(Part(program, work),))
