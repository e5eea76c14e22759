"""Which codec the tiny models should have: what each gives back by itself, and what a nano model makes of it.

``python -m experiments.codec.screen`` prints the codecs alone; with names of arms it trains them one after the other,
prints their scores and writes a picture of six held-out clips to ``runs/codec``.
"""

import argparse
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio
from torchvision.utils import save_image

from mvt4g.data.kubric import SyntheticClips
from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.diffusion.samplers import EulerSampler
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import Codec, PatchCodec
from mvt4g.models.lapped_codec import LappedCodec
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.types import REFERENCE, TARGET, Cameras, MultiViewClip

FOLDER = Path("runs/codec")
CODECS: dict[str, Codec] = {
    "blocks of 4": PatchCodec(4, 16),
    "blocks of 8": PatchCodec(8, 64),
    "lapped blocks of 4": LappedCodec(4, 16),
    "lapped blocks of 8": LappedCodec(8, 64),
}
TOKEN_PX, BATCH, RATE, WARMUP = 8, 8, 3e-3, 50
SHOWN = (0, 3, 7, 12, 20, 33)


@dataclass(frozen=True)
class Arm:
    """A codec and what the network predicts."""

    codec: str
    prediction: Literal["velocity", "sample"] = "velocity"


ARMS = {
    "A": Arm("blocks of 4"),
    "C": Arm("blocks of 8"),
    "D": Arm("lapped blocks of 8"),
    "Ax": Arm("blocks of 4", "sample"),
    "Dx": Arm("lapped blocks of 8", "sample"),
}


def main() -> None:
    """Print the codecs alone, or train arms."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("arms", nargs="*", metavar="ARM", help=", ".join(ARMS))
    parser.add_argument("--steps", type=int, default=800)
    options = parser.parse_args()
    torch.set_num_threads(1)
    held_out = clips("val", 64)
    for name in options.arms:
        print_arm(name, ARMS[name], options.steps, held_out)
    if not options.arms:
        video = held_out.video[:, TARGET]
        for name, codec in CODECS.items():
            decoded = codec.decode(codec.encode(video))
            print(f"{name}: {psnr(decoded, video):.2f} dB, steps at borders {at_borders(decoded, video):.2f}")


def clips(split: Literal["train", "val"], count: int) -> MultiViewClip:
    """Return clips of the world of nano, two views each."""
    scene = SceneSpec(num_frames=3, image_size=(48, 48))
    source = SyntheticClips(scene, split, count, 0, FOLDER / "cache")
    return MultiViewClip.stack([source.clip(number).select_views([0, 1]) for number in range(count)])


def print_arm(name: str, arm: Arm, steps: int, held_out: MultiViewClip) -> None:
    """Train an arm, print the scores of its samples and write a picture of some."""
    model = trained(arm, steps, clips("train", 640))
    truth, rows = held_out.video[:, TARGET], [held_out.video[:, REFERENCE], held_out.video[:, TARGET]]
    for sampling in (2, 4, 8):
        made = samples(model, held_out, sampling)
        scores = f"{psnr(made, truth):.2f} dB, steps at borders {at_borders(made, truth):.2f}"
        print(f"{name}, {sampling} sampling steps: {scores}", flush=True)
        rows.append(made)
    tiles = torch.cat([row[list(SHOWN), 1] for row in rows]).repeat_interleave(4, -1).repeat_interleave(4, -2)
    save_image(tiles, FOLDER / f"{name}.png", nrow=len(SHOWN), padding=0)


def trained(arm: Arm, steps: int, data: MultiViewClip) -> NovelViewModel:
    """Train a nano model by L_diff alone; the rate falls to 0 by a cosine."""
    torch.manual_seed(0)
    codec = CODECS[arm.codec]
    patch, channels = TOKEN_PX // codec.grid.spatial_stride, codec.grid.channels
    sizes = replace(
        VideoDiTConfig.nano(), query_gain=3.0, in_channels=channels, out_channels=channels, patch_size=(1, patch, patch)
    )
    model = NovelViewModel(ReCamMaster(sizes, codec.grid), codec, FlowMatching(shift=3.0, prediction=arm.prediction))
    optimizer = torch.optim.AdamW(model.parameters(), RATE, betas=(0.9, 0.95), weight_decay=0.01)
    latents, draws = codec.encode(data.video), torch.Generator().manual_seed(1)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / WARMUP) * (1 + math.cos(math.pi * step / steps)) / 2
        chosen = torch.randint(len(latents), (BATCH,), generator=draws)
        sigma, clean = model.flow.draw_sigmas(BATCH, draws), latents[chosen]
        noise = torch.randn(clean[:, TARGET].shape, generator=draws)
        passed = model.noisy_pass(clean, some(data.cameras, chosen), sigma, noise)
        error = (passed.velocity - passed.target).square().flatten(1).mean(dim=1)
        optimizer.zero_grad()
        (model.flow.weight(sigma) * error).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model.eval()


def samples(model: NovelViewModel, data: MultiViewClip, steps: int) -> Float[Tensor, "b t 3 h w"]:
    """Return generated target views."""
    torch.manual_seed(5)
    reference = model.codec.encode(data.video)[:, REFERENCE]
    made = []
    for part in torch.arange(len(reference)).split(16):
        noise = torch.randn(reference[part].shape)
        made.append(model.generate(reference[part], some(data.cameras, part), noise, EulerSampler(steps)).latents)
    return model.codec.decode(torch.cat(made))


def some(cameras: Cameras, chosen: Tensor) -> Cameras:
    """Return the cameras of some clips."""
    return Cameras(cameras.cam_from_world[chosen], cameras.intrinsics[chosen])


def psnr(video: Float[Tensor, "b t 3 h w"], truth: Float[Tensor, "b t 3 h w"]) -> float:
    """Return the mean over frames of each frame's dB."""
    frames = video.flatten(0, 1), truth.flatten(0, 1)
    return float(peak_signal_noise_ratio(*frames, data_range=1.0, dim=(1, 2, 3)))


def at_borders(video: Float[Tensor, "b t 3 h w"], truth: Float[Tensor, "b t 3 h w"]) -> float:
    """Return how much more neighbours differ across borders of tokens than elsewhere, over the same of the truth."""

    def excess(of: Float[Tensor, "b t 3 h w"]) -> Tensor:
        differences = of.diff(dim=-1).abs().flatten(0, -2).mean(dim=0)
        border = torch.arange(1, of.shape[-1]) % TOKEN_PX == 0
        return differences[border].mean() / differences[~border].mean()

    return float(excess(video) / excess(truth))


if __name__ == "__main__":
    main()
