"""How videos are generated: the steps from noise, what they follow, and the seed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from mvt4g.diffusion.samplers import AdamsSampler, BlockReuse, Sampler
from mvt4g.inference.candidates import CandidateChooser, DraftSpec
from mvt4g.inference.guidance import GuidanceSpec
from mvt4g.inference.lifting.reference_depth import ReferenceDepthSpec
from mvt4g.inference.window_spec import WindowSpec
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.ranges import Few, Range, Seed, check_ranges
from mvt4g.types import InputError


@dataclass(frozen=True)
class GenerationSpec:
    """How a video is generated; the options of ``evaluation`` that ``predict`` goes by.

    Attributes:
        sample_steps: Steps of the sampler; 0 = no sampling, so no scores of generated video.
        sampler: Built with so many steps.
        reuse: Late blocks that run in some evaluations only; null = all run in all.
        guidance: Which texts and images sampling follows, and how much.
        seed: Of noise, of damage to depth, and of the queries that an evaluation draws, together with the clip's name.
        depth: Of a backbone with a lifted view: where the depth of references comes from, and what is done to it.
        windows: How a real video is generated that is longer than one window; None = in one piece.
        candidates: Of real videos: seeds that a draft is made from, of which the best goes on; 1 = the seed alone.
            Those of seed s are ``s * candidates`` and the next ones.
        drafts: How the best one is found.
    """

    sample_steps: Few = 8
    sampler: Callable[[int], Sampler] = AdamsSampler
    reuse: BlockReuse | None = None
    guidance: GuidanceSpec = GuidanceSpec()
    seed: Seed = 0
    depth: ReferenceDepthSpec = ReferenceDepthSpec()
    windows: WindowSpec | None = None
    candidates: Annotated[int, Range(1, 64)] = 1
    drafts: DraftSpec = DraftSpec()

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "evaluation")
        self.check_windows()

    def check_windows(self) -> None:
        """Refuse candidates of a video in windows, which no draft is made of.

        Raises:
            InputError: If both are asked for.
        """
        if self.windows is not None and self.candidates > 1:
            raise InputError(f"evaluation.candidates: got {self.candidates} together with windows, want 1")

    def build_sampler(self) -> Sampler:
        """Return what goes from noise to a video.

        Raises:
            InputError: If there is no step.
        """
        if not self.sample_steps:
            raise InputError("evaluation.sample_steps: got 0, want at least 1 to generate a video")
        sampler = self.sampler(self.sample_steps)
        if self.reuse is not None:
            sampler.reuse = self.reuse
        return sampler

    def build_chooser(self, model: NovelViewModel, sampler: Sampler) -> CandidateChooser | None:
        """Return what chooses among several seeds; None where there is one.

        Raises:
            InputError: As ``CandidateChooser``.
        """
        return None if self.candidates == 1 else CandidateChooser(model, self.candidates, self.drafts, sampler)
