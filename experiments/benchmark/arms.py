"""Methods of the synthetic benchmark: truth, what needs no model, and trained ones.

All are handed the reference, its true depth where they lift it, and the true cameras, and write H.264 as programs do.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.geometry.rendering import render_mesh
from mvt4g.inference import NovelViewGenerator
from mvt4g.models.shipped import FOLDER
from mvt4g.types import REFERENCE, TARGET, Cameras, MultiViewClip

Arm = Callable[[str, MultiViewClip], Float[Tensor, "t 3 h w"]]
NOISE = 0.05
"""Of noisy depth: standard deviation of the logarithm of its scale, one draw each 16th of the image's side."""
NOISE_CELLS = 16
RUNS = Path("../runs/steps_to_quality")
NANO_ARMS = ("none", "prior", "corr_gone300", "prior_corr_gone300")


def truth(name: str, clip: MultiViewClip) -> Float[Tensor, "t 3 h w"]:
    """Return the true target view."""
    return clip.video[TARGET]


def copy(name: str, clip: MultiViewClip) -> Float[Tensor, "t 3 h w"]:
    """Return the reference."""
    return clip.video[REFERENCE]


def warp_true(name: str, clip: MultiViewClip) -> Float[Tensor, "t 3 h w"]:
    """Return the reference lifted by its true depth and seen from the target; holes have its mean colour."""
    assert clip.depth is not None
    return lifted(clip, clip.depth[REFERENCE])


def warp_noisy(name: str, clip: MultiViewClip) -> Float[Tensor, "t 3 h w"]:
    """Return the same by depth that is off by smooth factors, drawn anew for each frame as by an estimator."""
    assert clip.depth is not None
    depth = clip.depth[REFERENCE]
    generator = torch.Generator().manual_seed(sum(name.encode()))
    cells = torch.randn(len(depth), 1, NOISE_CELLS, NOISE_CELLS, generator=generator)
    smooth = torch.nn.functional.interpolate(cells, size=depth.shape[-2:], mode="bicubic")[:, 0]
    return lifted(clip, depth * (NOISE * smooth).exp())


def lifted(clip: MultiViewClip, depth: Float[Tensor, "t h w"]) -> Float[Tensor, "t 3 h w"]:
    """Return the reference as a mesh at some depth, torn at depth edges, seen from the target's cameras."""
    video = clip.video[REFERENCE]
    size = (video.shape[-2], video.shape[-1])
    seen = render_mesh(video, depth, clip.cameras[REFERENCE], clip.cameras[TARGET], size)
    mean = video.mean(dim=(0, 2, 3))[:, None, None]
    return torch.where(seen.mask[:, None], seen.image, mean)


def model_arm(generator: NovelViewGenerator) -> Arm:
    """Return the arm of a trained model."""

    def generate(name: str, clip: MultiViewClip) -> Float[Tensor, "t 3 h w"]:
        cameras = Cameras(clip.cameras.cam_from_world, clip.cameras.intrinsics)
        return generator.generate(clip.video[REFERENCE], cameras, seed=0, name=name).video

    return generate


WITHOUT_MODEL: dict[str, Arm] = {
    "truth": truth,
    "reference_copied": copy,
    "warp_true_depth": warp_true,
    "warp_noisy_depth": warp_noisy,
}


def trained_arms(world: str) -> Iterator[tuple[str, Callable[[], NovelViewGenerator]]]:
    """Yield the trained arms of a world's size that are there, by name; they are read when called."""
    if world == "tiny":
        shipped = FOLDER / "tiny.safetensors"
        yield "base_shipped", lambda: NovelViewGenerator.from_weights("configs/experiment/from_base.yaml", shipped)
        later = RUNS / "bases" / "mixture-0"
        if later.is_dir():
            yield "base_later", lambda: NovelViewGenerator.from_run(later)
    if world == "nano":
        for arm in NANO_ARMS:
            run = RUNS / "nano" / f"{arm}-0"
            if run.is_dir():
                yield f"nano_{arm}", partial(NovelViewGenerator.from_run, run)
