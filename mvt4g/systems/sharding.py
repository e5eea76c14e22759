"""FSDP2: every parameter of the model lies in slices over the ranks, and is whole while its module runs."""

from collections.abc import Sequence
from typing import Any

from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from mvt4g.models.novel_view import NovelViewModel
from mvt4g.types import InputError


def shard(model: NovelViewModel, mesh: DeviceMesh) -> None:
    """Slice blocks, backbone and tracking head over the ranks; the codec, which does not train, stays whole on each.

    Args:
        model: Changed in place; all ranks hold the same weights.
        mesh: Lightning's, of data and tensor parallel ranks.

    Raises:
        InputError: If the mesh has tensor parallel ranks.
    """
    if (size := mesh["tensor_parallel"].size()) != 1:
        raise InputError(f"trainer.strategy.init_args.tensor_parallel_size: got {size}, want 1")
    modules = [*model.backbone.dit.blocks, model.backbone]
    if model.tracking_head is not None:
        modules.append(model.tracking_head)
    for module in modules:
        if not isinstance(module, FSDPModule):
            # Else the two outermost modules would stay whole after validation, where EMA puts other weights in place.
            fully_shard(module, mesh=mesh["data_parallel"], reshard_after_forward=True)


def renumbered(optimizer_state: dict[str, Any], numbers: Sequence[int]) -> dict[str, Any]:
    """Return an optimizer's state with other numbers for its parameters: ``numbers[i]`` for the i-th.

    Lightning's FSDP2 counts all parameters of a system, torch those that an optimizer got, and reads any numbers in
    their order. With FSDP2's numbers, the checkpoint of one process serves many ranks.
    """
    groups = [{**group, "params": [numbers[i] for i in group["params"]]} for group in optimizer_state["param_groups"]]
    state = {numbers[i]: value for i, value in optimizer_state["state"].items()}
    return {**optimizer_state, "state": state, "param_groups": groups}
