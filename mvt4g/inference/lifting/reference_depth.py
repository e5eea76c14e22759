"""Depth of a reference video: the clip's own, a plane or a network, and damage to it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.geometry.depth_damage import damage_depth, parse_damage
from mvt4g.geometry.depth_maps import resize_depth
from mvt4g.inference.lifting.facing_plane import distance_by_way, facing_plane_depth
from mvt4g.inference.noise import generator_for, name_key
from mvt4g.models.depth_model import DepthModel, TransformersDepth
from mvt4g.ranges import Positive, check_ranges
from mvt4g.types import REFERENCE, TARGET, InputError, MultiViewClip

ReferenceDepthKind = Literal["clip", "plane", "model"]


@dataclass(frozen=True)
class ReferenceDepthSpec:
    """Where the depth of a reference video comes from, and what is done to it.

    Attributes:
        kind: "clip": what the data give, which is the true depth of synthetic clips, that of the phone, or that of
            ``camera.depth`` for real videos. "plane" before the reference's first camera. "model": a network.
        model: Of "model": a local folder of a depth network of transformers.
        distance: Of "plane": from the reference's first camera, scene units. Of a "model" that knows no metres: what
            the median depth of all frames is brought to. null = four times the way between the cameras, at least 1.
        damage: Kinds and amounts, such as ``[noise:5, holes:2]``; see ``geometry.depth_damage``.
    """

    kind: ReferenceDepthKind = "clip"
    model: Path | None = None
    distance: Positive | None = None
    damage: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what is given together.

        Raises:
            InputError: If an option is not of this kind, or is missing, or a damage is none.
        """
        check_ranges(self, "depth")
        if (self.kind == "model") != (self.model is not None):
            want = "a folder of a depth network" if self.kind == "model" else "null, or kind model"
            raise InputError(f"depth.model: got {self.model} with kind {self.kind}, want {want}")
        if self.kind == "clip" and self.distance is not None:
            raise InputError(f"depth.distance: got {self.distance:g} with kind clip, want null, or kind plane or model")
        parse_damage(self.damage)


class ReferenceDepth:
    """Gives the depth of reference videos.

    Args:
        spec: What is asked for.
        model: Takes the place of ``spec.model``.
        device: Where ``spec.model`` runs.

    Raises:
        InputError: If the network cannot be read.
    """

    def __init__(
        self,
        spec: ReferenceDepthSpec = ReferenceDepthSpec(),
        model: DepthModel | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.spec = spec
        self.damages = parse_damage(spec.damage)
        self.model = model
        if model is None and spec.model is not None:
            self.model = TransformersDepth(spec.model, device)

    def __call__(self, clip: MultiViewClip, seed: int = 0) -> Float[Tensor, "t h w"]:
        """Return z-depth of the reference's pixel centres, scene units, 0 = none.

        Args:
            clip: Without a batch axis; the reference's video, the cameras of both views.
            seed: Of the damage, together with the clip's name.

        Raises:
            InputError: If the clip has no depth, or a damage needs masks and the clip has none.
        """
        depth = self._undamaged(clip)
        if not self.damages:
            return depth
        dynamic = None
        if clip.dynamic is not None:
            dynamic = clip.dynamic[REFERENCE]
        # The name decides too, so that two clips of one run are not damaged alike.
        generator = generator_for(seed, name_key(str(clip.name)))
        try:
            return damage_depth(depth, self.damages, generator, dynamic)
        except InputError as error:
            raise InputError(f"{clip.name}: {error}") from error

    def _undamaged(self, clip: MultiViewClip) -> Float[Tensor, "t h w"]:
        if self.spec.kind == "clip":
            if clip.depth is None:
                want = "a file of it (camera.depth), or depth.kind plane or model"
                raise InputError(f"{clip.name}: got no depth of the reference, want {want}")
            return clip.depth[REFERENCE]
        cameras = clip.cameras[REFERENCE]
        distance = self.spec.distance
        if distance is None:
            distance = distance_by_way(cameras, clip.cameras[TARGET])
        video = clip.video[REFERENCE]
        if self.spec.kind == "model":
            return self._by_model(video, distance)
        # Before the first camera: the plane stands still while the reference's camera moves.
        facing = cameras.cam_from_world[0]
        size = (video.shape[-2], video.shape[-1])
        return facing_plane_depth(cameras, size, facing, distance).to(video)

    def _by_model(self, video: Float[Tensor, "t 3 h w"], distance: float) -> Float[Tensor, "t h w"]:
        assert self.model is not None, "the spec has checked it"
        answer = self.model(video)
        known = answer.depth.isfinite() & (answer.depth > 0)
        depth = torch.where(known, answer.depth, 0.0)
        if not answer.is_metric and bool(known.any()):
            # Its scale is nobody's: one factor for all frames keeps them in proportion.
            depth = depth * (distance / answer.depth[known].median())
        size = (video.shape[-2], video.shape[-1])
        return resize_depth(depth, size).to(video)
