"""What a novel view scores without a model: copying, blurring, averaging the reference, and warping it by true depth.

``python -m experiments.novel_view.baselines``: PSNR (mean over frames of each frame's dB) and SSIM on the demo's 32
held-out scenes. The blur is the best of those tried, chosen on these same scenes, so it is the hardest copy to beat.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure
from torchvision.transforms.functional import gaussian_blur

from experiments.runs import table
from mvt4g.data.kubric import SyntheticClips
from mvt4g.geometry.warp import warp_by_depth
from mvt4g.models.codec import PatchCodec
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.types import REFERENCE, TARGET, MultiViewClip

BLUR_PX = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)


def main() -> None:
    """Print the table."""
    print(table(["PSNR, dB", "SSIM"], rows()))


def rows() -> dict[str, tuple[float, float]]:
    """Return PSNR and SSIM of every method."""
    clips = [SyntheticClips(SceneSpec(), "test", 32, seed=0).clip(i) for i in range(32)]
    truth = torch.cat([clip.video[TARGET] for clip in clips])
    reference = torch.cat([clip.video[REFERENCE] for clip in clips])
    means = torch.cat([mean_colour(clip) for clip in clips])
    blurred = {px: gaussian_blur(reference, 2 * int(3 * px) + 1, px) for px in BLUR_PX}
    best = max(BLUR_PX, key=lambda px: psnr(blurred[px], truth))
    warped, filled = zip(*(warp(clip) for clip in clips), strict=True)
    codec = PatchCodec()
    methods = {
        "mean colour of the reference clip": means,
        "copy of the reference": reference,
        f"copy with the best blur ({best:g} px)": blurred[best],
        "warp by true depth, unseen = mean colour": torch.cat(warped),
        "warp by true depth, unseen = copy": torch.cat(filled),
        "codec's reconstruction of the truth": codec.decode(codec.encode(truth[:, None]))[:, 0],
    }
    return {name: (psnr(video, truth), ssim(video, truth)) for name, video in methods.items()}


def psnr(video: Float[Tensor, "n 3 h w"], truth: Float[Tensor, "n 3 h w"]) -> float:
    """Return the mean over frames of each frame's dB."""
    return peak_signal_noise_ratio(video, truth, data_range=1.0, dim=(1, 2, 3)).item()


def ssim(video: Float[Tensor, "n 3 h w"], truth: Float[Tensor, "n 3 h w"]) -> float:
    """Return the mean over frames of each frame's structural similarity."""
    found = structural_similarity_index_measure(video, truth, data_range=1.0)
    assert isinstance(found, Tensor), "nothing but the mean is asked for"
    return found.item()


def mean_colour(clip: MultiViewClip) -> Float[Tensor, "t 3 h w"]:
    """Return frames of the reference clip's mean colour."""
    video = clip.video[REFERENCE]
    return video.mean(dim=(0, 2, 3), keepdim=True).expand_as(video)


def warp(clip: MultiViewClip) -> tuple[Float[Tensor, "t 3 h w"], Float[Tensor, "t 3 h w"]]:
    """Return the reference seen from the target by true depth; what it does not see has its mean colour, or a copy."""
    assert clip.depth is not None
    poses, intrinsics = clip.cameras.cam_from_world, clip.cameras.intrinsics
    warped, valid = warp_by_depth(
        clip.video[REFERENCE], clip.depth[REFERENCE], clip.depth[TARGET],
        poses[TARGET], intrinsics[TARGET], poses[REFERENCE], intrinsics[REFERENCE],
    )  # fmt: skip
    seen = valid[:, None]
    return torch.where(seen, warped, mean_colour(clip)), torch.where(seen, warped, clip.video[REFERENCE])


if __name__ == "__main__":
    main()
