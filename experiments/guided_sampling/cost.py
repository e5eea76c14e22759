"""What epipolar guidance costs at nano size: ``python -m experiments.guided_sampling.cost``.

CPU seconds of sampling four clips in four steps on one thread, with the guidance and without in turn.
"""

import statistics
from pathlib import Path

import torch

from experiments.measure import alternating_seconds, median_ratio
from mvt4g.diffusion.samplers import EulerSampler
from mvt4g.inference.noise import clip_noise
from mvt4g.inference.reader import read_model
from mvt4g.models.conditioning.epipolar_guidance import EpipolarGuidance
from mvt4g.models.novel_view import SamplingGuidance
from mvt4g.synthetic.generate import generate_clip
from mvt4g.synthetic.recipes import parallax_nano
from mvt4g.types import REFERENCE, Cameras, Conditions

HERE = Path(__file__).parent
WEIGHTS = HERE.parent / "steps_to_quality" / "weights" / "nano-none-0.safetensors"
CLIPS = 4
REPEATS = 9


def main() -> None:
    """Print the medians and their ratio."""
    torch.set_num_threads(1)
    model = read_model(HERE / "nano.yaml", WEIGHTS, "cpu").model
    clips = [generate_clip(parallax_nano(), 0, index) for index in range(CLIPS)]
    poses = torch.stack([clip.cameras.cam_from_world[:2] for clip in clips])
    cameras = Cameras(poses, torch.stack([clip.cameras.intrinsics[:2] for clip in clips]))
    with torch.no_grad():
        reference = model.codec.encode(torch.stack([clip.video[REFERENCE] for clip in clips]))
    noise = clip_noise([str(index) for index in range(CLIPS)], 0, reference.shape[1:], reference.device)

    def sample(epipolar: EpipolarGuidance | None) -> None:
        guidance = SamplingGuidance(epipolar=epipolar)
        model.generate(reference, cameras, noise, EulerSampler(4), Conditions(), guidance)

    calls = {
        "off": lambda: sample(None),
        "all steps": lambda: sample(EpipolarGuidance(2.0)),
        "lines": lambda: sample(EpipolarGuidance(2.0, form="lines")),
    }
    times = alternating_seconds(calls, REPEATS)
    for name, seconds in times.items():
        print(f"{name}: {statistics.median(seconds):.3f} s, {median_ratio(times, name, 'off'):.2f} of off")


if __name__ == "__main__":
    main()
