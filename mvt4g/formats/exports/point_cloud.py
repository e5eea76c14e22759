"""Point clouds in PLY files, by Open3D."""

from pathlib import Path

from jaxtyping import Float, UInt8
from torch import Tensor

from mvt4g.formats.atomic import appearing
from mvt4g.types import InputError


def write_ply(path: Path, points: Float[Tensor, "p 3"], colours: UInt8[Tensor, "p 3"]) -> None:
    """Write a cloud as binary PLY (float32 positions, 8-bit colours); the file appears whole or not at all.

    Raises:
        InputError: If the place cannot be written to.
    """
    # It loads for seconds, so only where a cloud is written.
    import open3d as o3d

    cloud = o3d.t.geometry.PointCloud(o3d.core.Tensor(points.float().cpu().contiguous().numpy()))
    cloud.point.colors = o3d.core.Tensor(colours.cpu().contiguous().numpy())
    with appearing(path) as temporary:
        if not o3d.t.io.write_point_cloud(str(temporary), cloud):
            raise InputError(f"{path}: cannot be written, want a writable place")
