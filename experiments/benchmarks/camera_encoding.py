"""What a sample saves by encoding its cameras once instead of in every step, by backbone, on the CPU.

    python -m experiments.benchmarks.camera_encoding [--repeats 5] [--threads 1]

Both have MVTrack4Gen's Plücker rays. Times are CPU seconds of one forward of one clip, the least of the repeats, which
take turns: "told" is given cameras, "encoded" what ``encode_cameras`` made of them. A sample of n steps, two forwards a
step with guidance, saves their difference 2n - 1 times.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch

from mvt4g.geometry.trajectories import preset_trajectory
from mvt4g.models.backbone import NovelViewBackbone
from mvt4g.models.backbones import ReCamMaster, ReDirector
from mvt4g.models.conditioning.plucker import PluckerConditioning, packed_channels
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import Cameras, LatentGrid

TINY, WAN = LatentGrid(1, 4, 16), LatentGrid(4, 8, 16)
SIZES = {
    "tiny, 5 frames of 64x64": (VideoDiTConfig.tiny(), TINY, (5, 64, 64)),
    "small in Wan's latents, 33 frames of 128x224": (VideoDiTConfig.small(), WAN, (33, 128, 224)),
}


def cases(kind: str, size: str) -> dict[str, Callable[[], object]]:
    """Return what is timed, by name."""
    torch.manual_seed(0)
    sizes, grid, (frames, height, width) = SIZES[size]
    backbone: NovelViewBackbone
    if kind == "ReDirector":
        sizes = VideoDiTConfig(**{**vars(sizes), "control_channels": packed_channels(grid)})
        backbone = ReDirector(sizes, grid, [PluckerConditioning()])
    else:
        backbone = ReCamMaster(sizes, grid, [PluckerConditioning()])
    poses = torch.linalg.inv(preset_trajectory("arc_left", frames, 1.0, 1.0))
    intrinsics = torch.tensor([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1]])
    cameras = Cameras(torch.stack([poses, poses])[None].float(), intrinsics.expand(1, 2, frames, 3, 3))
    shape = grid.latent_frames(frames), height // grid.spatial_stride, width // grid.spatial_stride
    target, reference = torch.randn(2, 1, grid.channels, *shape).unbind()
    encoded = backbone.encode_cameras(cameras, *shape)
    forward = partial(backbone, target, reference, torch.ones(1))
    return {"told": partial(forward, cameras), "encoded": partial(forward, encoded)}


@torch.no_grad()
def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print("| size | backbone | told, s | encoded, s | saved |\n|---|---|---:|---:|---:|")
    for size in SIZES:
        for kind in ("ReCamMaster", "ReDirector"):
            timed = cases(kind, size)
            least: dict[str, float] = {}
            for _ in range(args.repeats + 1):
                for name, run in timed.items():
                    start = time.process_time()
                    run()
                    least[name] = min(least.get(name, float("inf")), time.process_time() - start)
            saved = 1 - least["encoded"] / least["told"]
            print(f"| {size} | {kind} | {least['told']:.3f} | {least['encoded']:.3f} | {100 * saved:.1f} % |")


if __name__ == "__main__":
    main()
