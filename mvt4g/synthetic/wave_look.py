"""The plain look: waves of colour on everything, one sharp light, antialiased where colours differ."""

from dataclasses import dataclass

import numpy as np
from einops import rearrange
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from mvt4g.synthetic.normals import smooth_normals
from mvt4g.synthetic.render import DOME_RADIUS, Frame, RayCaster, camera_rays, dome_distance
from mvt4g.synthetic.world import World
from mvt4g.types import Cameras

HAZE = (6.0, 20.0)
"""Distances from the centre between which the ground's pattern fades into one colour: far waves would alias."""
SHADOW_BIAS = 1e-3
EDGE_CONTRAST = 0.08
"""Colour step between neighbouring pixels from which on they are drawn with four rays each."""


@dataclass(frozen=True)
class _Hits:
    depth: Float[ndarray, " r"]
    instances: Int[ndarray, " r"]
    points: Float[ndarray, "r 3"]
    normals: Float[ndarray, "r 3"]
    sky: Bool[ndarray, " r"]


class WaveRenderer:
    """A scene of colour waves at one time, ready to be looked at."""

    def __init__(
        self,
        world: World,
        rotations: Float[ndarray, "i 3 3"],
        positions: Float[ndarray, "i 3"],
    ) -> None:
        """Place the bodies; rotations are world from object."""
        self.world = world
        self.rotations = rotations
        self.positions = positions
        self.caster = RayCaster(world.meshes, rotations, positions)

    def render(self, cameras: Cameras, image_size: tuple[int, int]) -> Frame:
        """Draw the views of ``cameras`` ``(v)``."""
        origins, directions = camera_rays(cameras, image_size)
        hits, colour = self._look(origins, directions)
        shape = (len(origins), *image_size)
        colour = colour.reshape(*shape, 3)
        if self.world.looks.antialias:
            self._refine_edges(origins, directions, colour)
        return Frame(
            colour=colour,
            depth=hits.depth.reshape(shape),
            instances=hits.instances.reshape(shape),
            facet_normals=hits.normals.reshape(*shape, 3),
        )

    def _refine_edges(
        self,
        origins: Float[ndarray, "v 1 1 3"],
        directions: Float[ndarray, "v h w 3"],
        colour: Float[ndarray, "v h w 3"],
    ) -> None:
        """Redraw, in place, pixels that differ from a neighbour as the mean of 2x2 rays."""
        view, row, column = np.nonzero(_edges(colour))
        if not len(view):
            return
        corner = directions[:, 0, 0]  # directions are linear in the pixel: two steps tell all
        right = (directions[:, 0, 1] - corner) / 4
        down = (directions[:, 1, 0] - corner) / 4
        offsets = np.stack([-right - down, -right + down, right - down, right + down], 1)
        samples_at = directions[view, row, column, None] + offsets[view]
        _, samples = self._look(origins[view, 0], samples_at)
        colour[view, row, column] = rearrange(samples, "(r s) c -> r s c", s=4).mean(axis=1)

    def _look(
        self,
        origins: Float[ndarray, "*#r 3"],
        directions: Float[ndarray, "*#r 3"],
    ) -> tuple[_Hits, Float[ndarray, "rays 3"]]:
        """Cast and shade rays, flattened."""
        rays = np.concatenate(np.broadcast_arrays(origins, directions), axis=-1).reshape(-1, 6)
        hits = self._cast(rays)
        return hits, self._shade(hits)

    def _cast(self, rays: Float[ndarray, "r 6"]) -> _Hits:
        """Find what rays meet first; directions have depth 1 along the optical axis, so lengths are z-depths."""
        origins = rays[:, :3]
        directions = rays[:, 3:]
        found = self.caster.cast(rays.astype(np.float32))
        depth = found.distances.astype(np.float64)
        dome = dome_distance(origins, directions)
        sky = depth >= dome
        depth = np.where(sky, dome, depth)
        points = origins + depth[:, None] * directions
        normals = np.where(sky[:, None], -points / DOME_RADIUS, found.facet_normals)
        instances = np.where(sky, 0, found.instances).astype(np.int64)
        return _Hits(depth, instances, points, normals, sky)

    def _shade(self, hits: _Hits) -> Float[ndarray, "r 3"]:
        """Colour the hits: Lambert's law with an ambient share, cast shadows, haze over the far ground."""
        albedo = np.empty((len(hits.depth), 3), dtype=np.float32)
        normals = hits.normals.astype(np.float32)
        ground = (hits.instances == 0) & ~hits.sky
        points = hits.points.astype(np.float32)
        albedo[ground] = self._ground_albedo(points[ground])
        albedo[hits.sky] = self.world.sky.colour(points[hits.sky] / np.float32(DOME_RADIUS))
        # Textures live in the bodies' own frames: hits go there, and normals come back.
        pairs = zip(self.world.shapes, self.world.textures, strict=True)
        for instance, (shape, texture) in enumerate(pairs, start=1):
            on = hits.instances == instance
            if on.any():
                rotation = self.rotations[instance - 1]
                position = self.positions[instance - 1]
                own_points = ((hits.points[on] - position) @ rotation).astype(np.float32)
                own_normals = (hits.normals[on] @ rotation).astype(np.float32)
                albedo[on] = texture.colour(own_points)
                smooth = smooth_normals(shape, own_points, own_normals)
                normals[on] = smooth @ rotation.T.astype(np.float32)
        light = self.world.light.astype(np.float32)
        lambert = np.clip(normals @ light, 0, 1)
        lambert[self._in_shadow(hits)] = 0
        ambient = np.float32(self.world.looks.ambient)
        brightness = np.where(hits.sky, 1, ambient + (1 - ambient) * lambert)
        return albedo * brightness[:, None]

    def _ground_albedo(self, points: Float[ndarray, "r 3"]) -> Float[ndarray, "r 3"]:
        distance = np.hypot(points[:, :1], points[:, 1:2])
        clear = np.clip((HAZE[1] - distance) / (HAZE[1] - HAZE[0]), 0, 1)
        far = self.world.ground.base.astype(np.float32)
        return far + clear * (self.world.ground.colour(points) - far)

    def _in_shadow(self, hits: _Hits) -> Bool[ndarray, " r"]:
        if not self.world.looks.shadows:
            return np.zeros(len(hits.depth), dtype=bool)
        # From a little above the surface: a ray from the surface itself would meet it.
        starts = hits.points + SHADOW_BIAS * hits.normals
        towards_light = np.broadcast_to(self.world.light, starts.shape)
        rays = np.concatenate([starts, towards_light], axis=-1).astype(np.float32)
        return self.caster.blocked(rays) & ~hits.sky


def _edges(colour: Float[ndarray, "v h w 3"]) -> Bool[ndarray, "v h w"]:
    """Flag both pixels of every horizontal or vertical pair whose colours differ by more than EDGE_CONTRAST."""
    edge = np.zeros(colour.shape[:-1], dtype=bool)
    across = _differ(colour, axis=2)
    down = _differ(colour, axis=1)
    edge[:, :, 1:] |= across
    edge[:, :, :-1] |= across
    edge[:, 1:] |= down
    edge[:, :-1] |= down
    return edge


def _differ(colour: Float[ndarray, "v h w 3"], axis: int) -> Bool[ndarray, "v rows columns"]:
    """Say which neighbours along an axis differ, channel by channel: faster than with channels last."""
    channels = [np.abs(np.diff(colour[..., channel], axis=axis)) > EDGE_CONTRAST for channel in range(3)]
    return np.logical_or.reduce(channels)
