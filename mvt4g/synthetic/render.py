"""Ray casting with Open3D on one thread: what rays meet first, and whether anything blocks them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import open3d as o3d
from einops import rearrange
from jaxtyping import Bool, Float, Int, UInt32
from numpy import ndarray

from mvt4g.geometry.camera import unproject_pixels
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.synthetic.cameras import camera_centres
from mvt4g.synthetic.shapes import Mesh, ground_mesh
from mvt4g.types import Cameras

DOME_RADIUS = 40.0


@dataclass(frozen=True)
class Frame:
    """What all views see at one time.

    Attributes:
        colour: In [0, 1].
        depth: z-depth of pixel centres.
        instances: 0 = ground and sky.
        facet_normals: Of the mesh at pixel centres, unit, world frame, outward.
    """

    colour: Float[ndarray, "v h w 3"]
    depth: Float[ndarray, "v h w"]
    instances: Int[ndarray, "v h w"]
    facet_normals: Float[ndarray, "v h w 3"]


@dataclass(frozen=True)
class RayHits:
    """What rays meet first.

    Attributes:
        distances: In lengths of the rays' directions; infinite where nothing is met.
        instances: 0 = ground, 1, 2, ... = bodies; meaningless where nothing is met.
        triangles: Number within the body's mesh.
        corners: Weights of the triangle's second and third corner.
        facet_normals: Of the triangle, unit, world frame, by the right-hand rule.
    """

    distances: Float[ndarray, " r"]
    instances: UInt32[ndarray, " r"]
    triangles: UInt32[ndarray, " r"]
    corners: Float[ndarray, "r 2"]
    facet_normals: Float[ndarray, "r 3"]


class RayCaster:
    """Bodies on the ground at one time."""

    def __init__(
        self,
        meshes: Sequence[Mesh],
        rotations: Float[ndarray, "i 3 3"],
        positions: Float[ndarray, "i 3"],
    ) -> None:
        """Place the bodies; rotations are world from object."""
        self.scene = o3d.t.geometry.RaycastingScene(nthreads=1)
        self._add(ground_mesh(DOME_RADIUS))  # geometry id 0 = background; bodies follow as 1, 2, ...
        for body, rotation, position in zip(meshes, rotations, positions, strict=True):
            self._add(Mesh(body.vertices @ rotation.T + position, body.triangles))

    def cast(self, rays: Float[ndarray, "r 6"]) -> RayHits:
        """Find what fp32 rays (origin, direction of any length) meet first."""
        found = self.scene.cast_rays(o3d.core.Tensor.from_numpy(rays), nthreads=1)
        return RayHits(
            distances=found["t_hit"].numpy(),
            instances=found["geometry_ids"].numpy(),
            triangles=found["primitive_ids"].numpy(),
            corners=found["primitive_uvs"].numpy(),
            facet_normals=found["primitive_normals"].numpy(),
        )

    def blocked(self, rays: Float[ndarray, "r 6"]) -> Bool[ndarray, " r"]:
        """Say which fp32 rays meet anything."""
        tensor = o3d.core.Tensor.from_numpy(rays)
        return self.scene.test_occlusions(tensor, nthreads=1).numpy()

    def _add(self, body: Mesh) -> None:
        # Open3D casts in fp32 and numbers vertices by uint32.
        vertices = body.vertices.astype(np.float32)
        triangles = body.triangles.astype(np.uint32)
        self.scene.add_triangles(o3d.core.Tensor(vertices), o3d.core.Tensor(triangles))


def camera_rays(
    cameras: Cameras, image_size: tuple[int, int]
) -> tuple[Float[ndarray, "v 1 1 3"], Float[ndarray, "v h w 3"]]:
    """Return camera centres and the directions of pixel centres, of depth 1 along the optical axis; world frame."""
    poses = cameras.cam_from_world.double()
    intrinsics = cameras.intrinsics.double()
    pixels = pixel_centres(*image_size).double()
    poses_grid = rearrange(poses, "v i j -> v 1 1 i j")
    intrinsics_grid = rearrange(intrinsics, "v i j -> v 1 1 i j")
    ahead = unproject_pixels(pixels, pixels.new_ones(()), poses_grid, intrinsics_grid).numpy()
    origins = rearrange(camera_centres(Cameras(poses, intrinsics)), "v c -> v 1 1 c").numpy()
    return origins, ahead - origins


def dome_distance(origins: Float[ndarray, "r 3"], directions: Float[ndarray, "r 3"]) -> Float[ndarray, " r"]:
    """Return where rays that start inside the dome leave it, in lengths of their directions."""
    # The far root of |origin + t direction| = DOME_RADIUS, a quadratic in t.
    squared = np.einsum("rc,rc->r", directions, directions)
    along = np.einsum("rc,rc->r", origins, directions)
    from_centre = np.einsum("rc,rc->r", origins, origins)
    inside = np.maximum(DOME_RADIUS**2 - from_centre, 0)
    return (np.sqrt(along**2 + squared * inside) - along) / squared
