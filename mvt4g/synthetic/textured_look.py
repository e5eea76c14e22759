"""The textured look: patterned and photographed surfaces under a sun with soft shadows and a sky."""

import numpy as np
from einops import rearrange
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from mvt4g.synthetic.contact import GroundContact
from mvt4g.synthetic.render import DOME_RADIUS, Frame, RayCaster, camera_rays, dome_distance
from mvt4g.synthetic.shading import BodyHits, Hits, body_openness, dot, put, shade
from mvt4g.synthetic.textured_world import TexturedWorld
from mvt4g.types import Cameras

SHADOW_BIAS = 4e-3
CREASE = 0.7
"""Cosine between the facets of neighbouring pixels under which there is an edge of the body."""
DEPTH_STEP = 0.1
"""Share of the depth by which neighbouring pixels of a body differ when one part of it hides another."""
SAMPLE_OFFSET = (0.35, -0.25)
"""Pixels to the right and down from a centre to the first of two more rays; the second lies opposite."""
PENUMBRA_REACH = 2
"""Pixels around a pixel in which first rays to different points of the sun must agree."""


class TexturedRenderer:
    """A textured scene at one time, ready to be looked at."""

    def __init__(
        self,
        world: TexturedWorld,
        rotations: Float[ndarray, "i 3 3"],
        positions: Float[ndarray, "i 3"],
    ) -> None:
        """Place the bodies; rotations are world from object."""
        assert world.looks.textured is not None
        self.world = world
        self.spec = world.looks.textured
        self.rotations = rotations.astype(np.float32)
        self.positions = positions.astype(np.float32)
        self.caster = RayCaster(world.meshes, rotations, positions)
        self.contact = GroundContact(world.spheres, rotations, positions, self.spec.contact)
        self.sun_points = _sun_points(world.lighting.sun, world.lighting.sun_radius, self.spec.shadow_rays)

    def render(self, cameras: Cameras, image_size: tuple[int, int]) -> Frame:
        """Draw the views of ``cameras`` ``(v)``; normals are those of the surface, smooth where it is round."""
        origins, corners = camera_rays(cameras, (2, 2))  # directions are linear in the pixel: 2x2 tell all
        views = []
        for rays in zip(origins[:, 0, 0], corners, strict=True):
            views.append(self._view(*rays, image_size))
        colour, depth, instances, facets = (np.stack(parts) for parts in zip(*views, strict=True))
        return Frame(colour=colour, depth=depth, instances=instances, facet_normals=facets)

    def _view(
        self,
        origin: Float[ndarray, " 3"],
        corner: Float[ndarray, "2 2 3"],
        image_size: tuple[int, int],
    ) -> tuple[Float[ndarray, "h w 3"], Float[ndarray, "h w"], Int[ndarray, "h w"], Float[ndarray, "h w 3"]]:
        height, width = image_size
        right = corner[0, 1] - corner[0, 0]
        down = corner[1, 0] - corner[0, 0]
        column = np.arange(width)
        row = np.arange(height)[:, None]
        # Channels first, as all of this look: see ``shading``.
        grid = np.empty((3, height, width), dtype=np.float32)
        for k in range(3):
            grid[k] = corner[0, 0, k] + down[k] * row + right[k] * column
        rays = grid.reshape(3, -1)
        hits, on_bodies = self._cast(origin.astype(np.float32), rays, float(np.linalg.norm(right)))
        light = self._light(hits, on_bodies, image_size)
        if self.world.looks.antialias:
            numbers = np.flatnonzero(_edges(hits, image_size))
            self._refine(origin, rays, (right, down), numbers, light)
        return (
            rearrange(np.sqrt(light), "c (h w) -> h w c", h=height, w=width),
            hits.depth.reshape(image_size),
            hits.instances.reshape(image_size),
            rearrange(hits.facet_normals, "c (h w) -> h w c", h=height, w=width),
        )

    def _refine(
        self,
        origin: Float[ndarray, " 3"],
        rays: Float[ndarray, "3 r"],
        steps: tuple[Float[ndarray, " 3"], Float[ndarray, " 3"]],
        numbers: Int[ndarray, " e"],
        light: Float[ndarray, "3 r"],
    ) -> None:
        """Mix, in place, these pixels with two more rays each, to either side of their centre."""
        if not len(numbers):
            return
        right, down = steps
        offset = SAMPLE_OFFSET[0] * right + SAMPLE_OFFSET[1] * down
        both_ways = np.stack([offset, -offset], axis=-1)[:, None].astype(np.float32)
        samples = rays.take(numbers, axis=1)[..., None] + both_ways
        pixel = float(np.linalg.norm(right)) / 2
        hits, on_bodies = self._cast(origin.astype(np.float32), samples.reshape(3, -1), pixel)
        both = self._light(hits, on_bodies, None).reshape(3, -1, 2)
        total = light.take(numbers, axis=1) + both[..., 0] + both[..., 1]
        put(light, numbers, total * np.float32(1 / 3))

    def _cast(
        self,
        origin: Float[ndarray, " 3"],
        directions: Float[ndarray, "3 r"],
        pixel: float,
    ) -> tuple[Hits, BodyHits]:
        """Find what rays meet; directions have depth 1 along the optical axis, so lengths are z-depths."""
        rays = np.empty((directions.shape[1], 6), dtype=np.float32)
        rays[:, :3] = origin
        rays[:, 3:] = directions.T
        found = self.caster.cast(rays)
        depth = found.distances.copy()
        with np.errstate(invalid="ignore"):
            points = origin[:, None] + depth * directions
            sky = ~(dot(points, points) < DOME_RADIUS**2)  # also where nothing is met: NaN and infinity
        # Those are few: their depth is reckoned in fp64 where the dome is, and their points follow from it.
        beyond = np.flatnonzero(sky)
        starts = rays[beyond, :3].astype(np.float64)
        depth[beyond] = dome_distance(starts, rays[beyond, 3:].astype(np.float64))
        put(points, beyond, origin[:, None] + depth[beyond] * directions.take(beyond, axis=1))
        instances = np.where(sky, 0, found.instances).astype(np.int64)
        facets = np.ascontiguousarray(found.facet_normals.T)
        put(facets, beyond, points.take(beyond, axis=1) / np.float32(-DOME_RADIUS))
        facets *= np.where(dot(facets, directions) > 0, np.float32(-1), np.float32(1))
        normals = facets.copy()
        on_bodies = self._on_bodies(instances, points, found.triangles, found.corners)
        put(normals, on_bodies.numbers, self._smooth(on_bodies, facets))
        return Hits(points, directions, depth, pixel, instances, sky, facets, normals), on_bodies

    def _on_bodies(
        self,
        instances: Int[ndarray, " r"],
        points: Float[ndarray, "3 r"],
        triangles: Shaped[ndarray, " r"],
        corners: Float[ndarray, "r 2"],
    ) -> BodyHits:
        surfaces = self.world.surfaces
        numbers = np.flatnonzero(instances)
        bodies = instances.take(numbers) - 1
        offsets = points.take(numbers, axis=1) - self.positions.take(bodies, axis=0).T
        triangle = surfaces.first_triangle.take(bodies) + triangles.take(numbers).astype(np.int32)
        # Barycentric: Open3D gives the weights of the second and third corner alone.
        second, third = corners.take(numbers, axis=0).T
        weights = np.stack([1 - second - third, second, third], axis=-1)
        normals = np.einsum("nk,nkc->cn", weights, surfaces.normals.take(triangle, axis=0))
        normals /= np.maximum(np.sqrt(dot(normals, normals)), np.float32(1e-9))
        uvs = np.zeros((len(numbers), 2), dtype=np.float32)
        if self.world.finish.unwrapped.any():
            uvs = np.einsum("nk,nkc->nc", weights, surfaces.uvs.take(triangle, axis=0))
        own_points = np.einsum("nij,in->jn", self.rotations.take(bodies, axis=0), offsets)
        return BodyHits(numbers, bodies, own_points, normals, uvs, surfaces.densities.take(triangle))

    def _smooth(self, on: BodyHits, facets: Float[ndarray, "3 r"]) -> Float[ndarray, "3 k"]:
        """Return smooth normals in the world frame, on the facets' side."""
        normals = np.einsum("nij,jn->in", self.rotations.take(on.bodies, axis=0), on.normals)
        towards = dot(normals, facets.take(on.numbers, axis=1))
        return normals * np.where(towards < 0, np.float32(-1), np.float32(1))

    def _light(self, hits: Hits, on_bodies: BodyHits, image_size: tuple[int, int] | None) -> Float[ndarray, "3 r"]:
        """Shade the pixels of an image, or, without its size, pairs of samples of some pixels."""
        sun = self.world.lighting.sun.astype(np.float32)
        sunlit = np.maximum(sun[0] * hits.normals[0] + sun[1] * hits.normals[1] + sun[2] * hits.normals[2], 0)
        sunlit[hits.sky] = 0
        if self.world.looks.shadows:
            faces = np.flatnonzero(sunlit > 0)
            sunlit[faces] *= self._sun_seen(hits, faces, image_size)
        openness = self.contact.openness(hits.points)
        openness[on_bodies.numbers] = body_openness(hits, on_bodies, self.spec.contact)
        return shade(self.world, hits, on_bodies, sunlit, openness)

    def _sun_seen(
        self,
        hits: Hits,
        faces: Int[ndarray, " k"],
        image_size: tuple[int, int] | None,
    ) -> Float[ndarray, " k"]:
        """Return the share of the sun that is seen.

        One ray a pixel first, to different edges of the sun from pixel to pixel; where those of a neighbourhood
        disagree there is a penumbra, and rays go to points all over the sun. Of a pair of samples each has one ray.
        """
        normals = hits.normals.take(faces, axis=1)
        starts = hits.points.take(faces, axis=1) + np.float32(SHADOW_BIAS) * normals
        number = len(self.sun_points)
        if image_size is None or number == 1:
            return 1 - self._blocked(starts, faces % 2 * (number // 2)).astype(np.float32)
        # The last four points lie at the sun's edge: a square of 2x2 pixels looks at all four.
        row, column = np.divmod(faces, image_size[1])
        corner = row % 2 * 2 + column % 2
        blocked = self._blocked(starts, number - 1 - corner)
        seen = 1 - blocked.astype(np.float32)
        # Bit 1 for blocked, bit 2 for open: where both come together there is a penumbra.
        state = np.zeros(image_size, dtype=np.uint8)
        state.ravel()[faces] = np.where(blocked, 1, 2)
        mixed = np.flatnonzero((_spread(state) == 3).ravel()[faces])
        if len(mixed):
            every_start = np.repeat(starts.take(mixed, axis=1), number, axis=1)
            every_point = np.tile(np.arange(number), len(mixed))
            blocked = self._blocked(every_start, every_point)
            seen[mixed] = 1 - blocked.reshape(-1, number).mean(axis=1, dtype=np.float32)
        return seen

    def _blocked(
        self,
        starts: Float[ndarray, "3 n"],
        point: Int[ndarray, " n"],
    ) -> Bool[ndarray, " n"]:
        rays = np.empty((starts.shape[1], 6), dtype=np.float32)
        rays[:, :3] = starts.T
        rays[:, 3:] = self.sun_points.take(point, axis=0)
        return self.caster.blocked(rays)


def _sun_points(sun: Float[ndarray, " 3"], radius: float, number: int) -> Float[ndarray, "n 3"]:
    """Return directions to points spread evenly over the sun's disc, from its middle outwards; the last lie apart.

    Source: Vogel, A better way to construct the sunflower head, 1979.
    """
    if number == 1:
        return sun[None].astype(np.float32)
    across = np.cross(sun, [0.0, 0, 1] if abs(sun[2]) < 0.9 else [1.0, 0, 0])
    across /= np.linalg.norm(across)
    step = np.arange(number) + 0.5
    distance = np.tan(radius) * np.sqrt(step / number)
    turn = np.pi * (3 - np.sqrt(5)) * step
    along = np.cross(sun, across)
    sideways = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * along
    return (sun + distance[:, None] * sideways).astype(np.float32)


def _spread(state: Shaped[ndarray, "h w"]) -> Shaped[ndarray, "h w"]:
    """Return the bitwise or over a square of PENUMBRA_REACH pixels each way."""
    for axis in (0, 1):
        lines = np.moveaxis(state, axis, 0)
        spread = np.moveaxis(state.copy(), axis, 0)
        for step in range(1, PENUMBRA_REACH + 1):
            spread[step:] |= lines[:-step]
            spread[:-step] |= lines[step:]
        state = np.moveaxis(spread, 0, axis)
    return state


def _edges(hits: Hits, image_size: tuple[int, int]) -> Bool[ndarray, "h w"]:
    """Flag both pixels of every pair of neighbours on different bodies, parts of one, or faces of one."""
    ids = np.where(hits.sky, -1, hits.instances).reshape(image_size)
    depth = hits.depth.reshape(image_size)
    facets = hits.facet_normals.reshape(3, *image_size)
    edge = np.zeros(image_size, dtype=bool)
    everything = slice(None)
    ahead = slice(1, None)
    behind = slice(-1)
    # Rows and columns of a pair: neighbours across, then neighbours down.
    across = ((everything, ahead), (everything, behind))
    for first, second in (across, ((ahead, everything), (behind, everything))):
        folded = (facets[:, *first] * facets[:, *second]).sum(axis=0) < CREASE
        nearer = np.minimum(depth[first], depth[second])
        stepped = np.abs(depth[first] - depth[second]) > DEPTH_STEP * nearer
        apart = (ids[first] != ids[second]) | (ids[first] > 0) & (folded | stepped)
        edge[first] |= apart
        edge[second] |= apart
    return edge
