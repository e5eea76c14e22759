"""How long a synthetic clip takes and what is in it.

    python -m experiments.benchmarks.synthetic [--clips 32] [--seed 0] [--scene tiny|nano]

One thread. Predictions are of view 1 from view 0, PSNR over all frames of a clip, then the mean over clips; the warp
has the true depth of view 1 and fills what view 0 does not see with the copy.
"""

import argparse
import time

import torch
from einops import rearrange
from torch import Tensor

from mvt4g.geometry.warp import warp_by_depth
from mvt4g.synthetic.cameras import camera_centres, separation_degrees
from mvt4g.synthetic.generate import SceneSpec, generate_clip
from mvt4g.types import REFERENCE, TARGET, MultiViewClip

BLURS_PX = (0.7, 1.0, 1.5, 2.0, 3.0, 4.0)


def psnr(prediction: Tensor, truth: Tensor) -> float:
    """Return dB of values in [0, 1]."""
    return float(-10 * torch.log10((prediction - truth).square().mean()))


def blur(video: Tensor, sigma: float) -> Tensor:
    """Blur (t c h w) by a Gaussian, borders repeated."""
    reach = int(3 * sigma + 0.5)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    weights = weights / weights.sum()
    planes = rearrange(video, "t c h w -> (t c) 1 h w")
    across, down = weights[None, None, None], weights[None, None, :, None]
    for kernel, padding in ((across, (reach, reach, 0, 0)), (down, (0, 0, reach, reach))):
        planes = torch.nn.functional.conv2d(torch.nn.functional.pad(planes, padding, mode="replicate"), kernel)
    return rearrange(planes, "(t c) 1 h w -> t c h w", c=video.shape[1])


def warped(clip: MultiViewClip) -> tuple[Tensor, Tensor]:
    """Return view 0 warped into view 1 and the mask of what view 0 sees."""
    cameras, depth = clip.cameras, clip.depth
    assert depth is not None
    image, seen = warp_by_depth(
        clip.video[REFERENCE], depth[REFERENCE], depth[TARGET],
        cameras.cam_from_world[TARGET], cameras.intrinsics[TARGET],
        cameras.cam_from_world[REFERENCE], cameras.intrinsics[REFERENCE],
    )  # fmt: skip
    return torch.where(seen[:, None], image, clip.video[REFERENCE]), seen


def measure(clip: MultiViewClip) -> dict[str, float]:
    """Return the figures of one clip."""
    source, truth = clip.video[REFERENCE], clip.video[TARGET]
    image, seen = warped(clip)
    assert clip.tracks is not None and clip.visible is not None and clip.instances is not None
    assert clip.dynamic is not None and clip.point_instance is not None and clip.point_valid is not None
    moved = (clip.tracks[:, 1:] - clip.tracks[:, :-1]).norm(dim=-1)
    both = clip.visible[:, 1:] & clip.visible[:, :-1]
    across = (clip.tracks[TARGET] - clip.tracks[REFERENCE]).norm(dim=-1)
    shared = clip.visible[TARGET] & clip.visible[REFERENCE]
    moving_ids = clip.instances[clip.dynamic].unique()
    moving = torch.isin(clip.point_instance, moving_ids)
    angles = separation_degrees((camera_centres(clip.cameras) - torch.tensor([0.0, 0.0, 0.5])).double().numpy())
    figures = {
        "PSNR copy of view 0": psnr(source, truth),
        **{f"PSNR copy blurred {sigma:g} px": psnr(blur(source, sigma), truth) for sigma in BLURS_PX},
        "PSNR mean colour of view 0": psnr(source.mean(dim=(0, 2, 3), keepdim=True).expand_as(truth), truth),
        "PSNR warp by true depth": psnr(image, truth),
        "PSNR warp where seen": psnr(image.movedim(1, -1)[seen], truth.movedim(1, -1)[seen]),
        "share seen from view 0": float(seen.float().mean()),
        "share objects": float((clip.instances > 0).float().mean()),
        "share dynamic": float(clip.dynamic.float().mean()),
        "instances seen": float(len(clip.instances.unique()) - 1),
        "points padded": float((~clip.point_valid).sum()),
        "points visible, share": float(clip.visible.float().mean()),
        "points visible in both views, share": float(shared.float().mean()),
        "px a frame, dynamic points": float(moved[both & moving].mean()) if bool((both & moving).any()) else torch.nan,
        "px a frame, static points": float(moved[both & ~moving].mean()),
        "px from view 0 to view 1": float(across[shared].mean()),
        "degrees between views": float(angles[REFERENCE, TARGET].mean()),
    }
    return figures


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scene", choices=("tiny", "nano"), default="tiny")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    scene: SceneSpec = getattr(SceneSpec, arguments.scene)()
    generate_clip(scene, arguments.seed, 0)  # imports and first calls are not counted
    wall, cpu = time.perf_counter(), time.process_time()
    clips = [generate_clip(scene, arguments.seed, index) for index in range(arguments.clips)]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    rows = {
        "seconds a clip, wall": torch.tensor([wall / len(clips)]),
        "seconds a clip, cpu": torch.tensor([cpu / len(clips)]),
    }
    figures = [measure(clip) for clip in clips]
    rows |= {name: torch.tensor([figure[name] for figure in figures]) for name in figures[0]}
    print(f"{arguments.scene}, seed {arguments.seed}, {len(clips)} clips\n{'':38}{'mean':>9}{'least':>9}{'most':>9}")
    for name, values in rows.items():
        values = values[values.isfinite()]
        print(f"{name:38}{values.mean():9.3f}{values.min():9.3f}{values.max():9.3f}")


if __name__ == "__main__":
    main()
