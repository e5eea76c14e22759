"""The best of several seeds of one video: each is sampled for a few steps, scored without truth, and one goes on.

A draft is what a sampler takes for the clean video after some steps. Drafts of N seeds after k of S steps cost N * k
evaluations, and the kept seed's video S: with 4 seeds, 2 steps and 8 steps, 16 in place of 8. The video is that of the
kept seed alone, bit for bit.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.diffusion.flow_matching import FlowMatching, clean_sample
from mvt4g.diffusion.samplers import Sampler, Velocity
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.inference.video_tracks import at_video_frames
from mvt4g.metrics.functional.epipolar_colour import epipolar_colour
from mvt4g.metrics.functional.geometry_score import geometry_score
from mvt4g.models.novel_view import Generation, NovelViewModel
from mvt4g.ranges import Depth, check_ranges
from mvt4g.types import REFERENCE, InputError, MultiViewClip, TapRequest

BUDGET = 2.2
"""Samples that drafts and video cost together at most, where nobody says how many steps a draft has."""
GRID = 8
"""Query points along each side of a frame, where drafts are scored by tracks."""
MOMENTS = 3
"""Frames that they are asked in: the first, the middle one and the last."""
CandidateScore = Literal["epipolar_colour", "epipolar_px"]
DrawNoise = Callable[[int], Float[Tensor, "b c f h w"]]
"""Unit noise of a seed."""
SampleFrom = Callable[[Float[Tensor, "b c f h w"], Sampler, Mapping[int, TapRequest]], Generation]
"""Samples from noise, with the taps asked for by step."""


@dataclass(frozen=True)
class DraftSpec:
    """How one of several seeds is chosen.

    Attributes:
        steps: Sampling steps of a draft, at most those of the video; None = the most with which drafts and video cost
            no more than 2.2 samples, and 1 at least.
        score: What chooses, lower is better: ``epipolar_colour`` of the draft, or ``epipolar_px`` of a grid of points
            that the tracking head follows on the taps of the draft's last step.
    """

    steps: Depth | None = None
    score: CandidateScore = "epipolar_colour"

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "evaluation.drafts")

    def steps_for(self, count: int, sample_steps: int) -> int:
        """Return the sampling steps of a draft.

        Args:
            count: Candidates.
            sample_steps: Steps of the video.
        """
        if self.steps is not None:
            return self.steps
        # So that count * steps + sample_steps <= BUDGET * sample_steps; 2.2 - 1 is a little more than 1.2.
        return max(1, int((BUDGET - 1) * sample_steps / count))


@dataclass(frozen=True)
class Candidate:
    """A seed and the scores of its draft; NaN where there is none.

    Attributes:
        seed: Of the noise.
        epipolar_colour: See ``metrics.functional.epipolar_colour``.
        epipolar_px: See ``metrics.functional.geometry_score``; NaN without a tracking head.
    """

    seed: int
    epipolar_colour: float
    epipolar_px: float

    def told(self) -> dict[str, int | float | None]:
        """Return what JSON holds of it."""
        scores = {"epipolar_colour": self.epipolar_colour, "epipolar_px": self.epipolar_px}
        # JSON has no word for NaN.
        return {"seed": self.seed, **{name: value if math.isfinite(value) else None for name, value in scores.items()}}


@dataclass(frozen=True)
class Choice:
    """The candidates of one clip.

    Attributes:
        candidates: In the order of their seeds.
        kept: Which one's video was made.
        score: What chose it.
        steps: Sampling steps of each draft.
    """

    candidates: tuple[Candidate, ...]
    kept: int
    score: CandidateScore
    steps: int

    @property
    def seed(self) -> int:
        """The kept candidate's."""
        return self.candidates[self.kept].seed

    def told(self) -> dict[str, object]:
        """Return what ``provenance.json`` holds of it."""
        scores = [candidate.told() for candidate in self.candidates]
        return {"kept_seed": self.seed, "score": self.score, "draft_steps": self.steps, "scores": scores}


class DraftSampler(Sampler):
    """Another sampler's first steps, and then what the last evaluation takes for the clean latents.

    Args:
        sampler: Whose noise levels and steps.
        steps: How many of them.

    Raises:
        InputError: If the sampler has fewer.
    """

    def __init__(self, sampler: Sampler, steps: int) -> None:
        super().__init__(steps)
        if steps > sampler.steps:
            raise InputError(f"evaluation.drafts.steps: got {steps}, want at most sample_steps, {sampler.steps}")
        self.sampler = sampler
        self.reuse = sampler.reuse

    def sigmas(self, flow: FlowMatching) -> Float[Tensor, " n"]:
        """Return the noise levels of the whole sampler."""
        return self.sampler.sigmas(flow)

    def walk(
        self,
        velocity: Velocity,
        noise: Float[Tensor, " b *shape"],
        sigmas: Float[Tensor, " n"],
    ) -> Iterator[Float[Tensor, " b *shape"]]:
        """Yield the latents after every step but the last, and in its place the clean estimate."""
        clean = noise

        def watched(
            latents: Float[Tensor, " b *shape"],
            sigma: Float[Tensor, " b"],
            step: int,
        ) -> Float[Tensor, " b *shape"]:
            nonlocal clean
            found = velocity(latents, sigma, step)
            clean = clean_sample(found, latents, sigma)
            return found

        for done, latents in enumerate(self.sampler.walk(watched, noise, sigmas), start=1):
            if done == self.steps:
                break
            yield latents
        yield clean


class CandidateChooser:
    """Chooses the seed of each clip of a batch by its draft.

    Args:
        model: Only run, never changed.
        count: Seeds a clip. Those of seed s are ``s * count`` to ``s * count + count - 1``.
        spec: How one is chosen.
        sampler: That of the videos.

    Raises:
        InputError: If tracks are to choose without a tracking head, or a draft has more steps than a video.
    """

    def __init__(self, model: NovelViewModel, count: int, spec: DraftSpec, sampler: Sampler) -> None:
        if spec.score == "epipolar_px" and model.tracking_head is None:
            want = "a model with a tracking head, or epipolar_colour"
            raise InputError(f"evaluation.drafts.score: got epipolar_px without a tracking head, want {want}")
        self.model = model
        self.count = count
        self.spec = spec
        self.steps = spec.steps_for(count, sampler.steps)
        self.draft = DraftSampler(sampler, self.steps)

    def __call__(
        self, clip: MultiViewClip, seed: int, draw: DrawNoise, sample: SampleFrom
    ) -> tuple[Float[Tensor, "b c f h w"], tuple[Choice, ...]]:
        """Return the noise of each clip's kept seed, and the choices.

        Args:
            clip: A batch: the reference's video and both views' cameras.
            seed: Of the batch; its candidates follow from it.
            draw: Noise of a seed.
            sample: Runs a sampler on it.
        """
        scored = []
        for one in range(seed * self.count, (seed + 1) * self.count):
            # One after another: memory is that of one sample, and the noise is drawn again for the kept one.
            scored.append(self._score(clip, one, sample(draw(one), self.draft, self._taps())))
        choices = []
        for candidates in zip(*scored, strict=True):
            kept = _best(candidates, self.spec.score)
            choices.append(Choice(candidates, kept, self.spec.score, self.steps))
        noise = torch.stack([draw(choice.seed)[number] for number, choice in enumerate(choices)])
        return noise, tuple(choices)

    def _taps(self) -> dict[int, TapRequest]:
        head = self.model.tracking_head
        return {} if head is None else {self.steps - 1: TapRequest([head.layer])}

    def _score(self, clip: MultiViewClip, seed: int, draft: Generation) -> list[Candidate]:
        video = self.model.codec.decode(draft.latents).clamp(0, 1)
        distances = self._epipolar_px(clip, draft)
        scored = []
        for number, distance in enumerate(distances):
            colour = epipolar_colour(video[number], clip.video[number, REFERENCE], clip.cameras[number])
            scored.append(Candidate(seed, float(colour), distance))
        return scored

    def _epipolar_px(self, clip: MultiViewClip, draft: Generation) -> list[float]:
        """Return the median epipolar distance of a grid of points in each clip; NaN without a head."""
        head = self.model.tracking_head
        batch, _, num_frames, _, height, width = clip.video.shape
        if head is None:
            return [math.nan] * batch
        queries = grid_queries(num_frames, height, width).to(clip.video.device)
        prediction = self.model.track(draft.taps, queries.expand(batch, -1, -1), clip.cameras)
        tracks = at_video_frames(prediction, num_frames).tracks
        # A pair is a query and its place in the other view at the query's own time: what the head says of sight is
        # not asked, since in a noisy draft it sees hardly anything.
        moments = torch.arange(num_frames, device=queries.device)[:, None] == queries[:, 1]
        visible = moments.expand(2, -1, -1)
        distances = []
        for number in range(batch):
            score = geometry_score(tracks[number], visible, clip.cameras[number], (height, width))
            distances.append(float(score["epipolar_px"]))
        return distances


def grid_queries(num_frames: int, height: int, width: int) -> Float[Tensor, "q 4"]:
    """Return query points (view, frame, x, y) on a grid over both views, in a few frames."""
    cell = torch.tensor([width / GRID, height / GRID])
    pixels = (pixel_centres(GRID, GRID) * cell).flatten(0, 1)
    moments = sorted({round(place * (num_frames - 1) / (MOMENTS - 1)) for place in range(MOMENTS)})
    queries = []
    for view in (0, 1):
        for frame in moments:
            moment = torch.tensor([float(view), float(frame)]).expand(len(pixels), 2)
            queries.append(torch.cat([moment, pixels], dim=1))
    return torch.cat(queries)


def _best(candidates: Sequence[Candidate], score: CandidateScore) -> int:
    """Return which candidate has the lowest score, the first of several; one without a score comes last."""

    def value(number: int) -> float:
        found: float = getattr(candidates[number], score)
        return found if math.isfinite(found) else math.inf

    return min(range(len(candidates)), key=value)
