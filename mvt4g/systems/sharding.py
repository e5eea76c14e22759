"""FSDP2: every parameter of the model lies in slices over the ranks, and is whole while its module runs."""

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
            fully_shard(module, mesh=mesh["data_parallel"])
