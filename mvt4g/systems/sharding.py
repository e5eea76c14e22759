"""FSDP2: every parameter lies in slices over the ranks and is whole while its module runs; tokens may be shared too."""

from collections.abc import Sequence
from typing import Any

from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

from mvt4g.models.novel_view import NovelViewModel


def shard(model: NovelViewModel, mesh: DeviceMesh) -> None:
    """Slice blocks, backbone and tracking head over the ranks; the codec, which does not train, stays whole on each.

    Args:
        model: Changed in place; all ranks hold the same weights.
        mesh: Lightning's, of data and tensor parallel ranks. The latter see the same clips and share their tokens here,
            not the features of a layer.
    """
    over = mesh["data_parallel"]
    if (tokens := mesh["tensor_parallel"]).size() > 1:
        model.backbone.share_tokens(tokens.get_group())
        over = init_device_mesh(mesh.device_type, (mesh.size(),))
    modules = [*model.backbone.shard_units(), model.backbone]
    if model.tracking_head is not None:
        modules.append(model.tracking_head)
    for module in modules:
        if not isinstance(module, FSDPModule):
            # Else the two outermost modules would stay whole after validation, where EMA puts other weights in place.
            fully_shard(module, mesh=over, reshard_after_forward=True)
            if module is model.backbone:
                register_fsdp_forward_method(module, model.backbone.encode_cameras.__name__)


def renumber(optimizer_state: dict[str, Any], numbers: Sequence[int]) -> dict[str, Any]:
    """Return an optimizer's state with other numbers for its parameters: ``numbers[i]`` for the i-th.

    Lightning's FSDP2 counts all parameters of a system, torch those that an optimizer got, and reads any numbers in
    their order. With FSDP2's numbers, the checkpoint of one process serves many ranks.
    """
    groups = []
    for group in optimizer_state["param_groups"]:
        renamed = [numbers[i] for i in group["params"]]
        groups.append({**group, "params": renamed})
    by_number = {numbers[i]: value for i, value in optimizer_state["state"].items()}
    return {**optimizer_state, "state": by_number, "param_groups": groups}
