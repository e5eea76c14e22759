"""The training-free baseline: a reference lifted by its depth, seen from the target, its holes left or filled."""

from dataclasses import replace

import torch

from mvt4g.geometry.hole_filling import HoleRule, fill_holes
from mvt4g.geometry.lifted_video import LiftingSpec, render_lifted
from mvt4g.geometry.rendering import Rendering
from mvt4g.inference.lifting.reference_depth import ReferenceDepth
from mvt4g.types import REFERENCE, TARGET, InputError, MultiViewClip


class VideoWarper:
    """Warps reference videos to the target cameras.

    Args:
        depth: Gives the depth of each.
        lifting: How they are lifted and rendered.
        holes: What shows where nothing is seen.
    """

    def __init__(
        self,
        depth: ReferenceDepth = ReferenceDepth(),
        lifting: LiftingSpec = LiftingSpec(),
        holes: HoleRule = "nearest",
    ) -> None:
        self.depth = depth
        self.lifting = lifting
        self.holes = holes

    @torch.no_grad()
    def __call__(self, clip: MultiViewClip, seed: int = 0) -> Rendering:
        """Return the target view; the mask says what was seen before holes were filled.

        Args:
            clip: Without a batch axis; the reference's video, the cameras of both views.
            seed: Of the damage to depth.

        Raises:
            InputError: As ``ReferenceDepth``, and if frames are to be accumulated and nobody says what moves.
        """
        # What moves is asked of the reference alone: the target's masks are what a real video lacks.
        dynamic = None
        if clip.dynamic is not None:
            dynamic = clip.dynamic[REFERENCE]
        video = clip.video[REFERENCE]
        depth = self.depth(clip, seed)
        source = clip.cameras[REFERENCE]
        target = clip.cameras[TARGET]
        try:
            seen = render_lifted(video, depth, source, target, self.lifting, dynamic)
        except InputError as error:
            raise InputError(f"{clip.name}: {error}") from error
        return replace(seen, image=fill_holes(seen.image, seen.mask, self.holes))
