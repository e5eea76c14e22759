"""A trained model that generates the target view of videos, and tracks in both views, one video at a time."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.diffusion.samplers import Sampler
from mvt4g.inference.candidates import Choice
from mvt4g.inference.generation_spec import GenerationSpec
from mvt4g.inference.guidance import Guidance
from mvt4g.inference.lifting.reference_depth import ReferenceDepth
from mvt4g.inference.long_videos import LongVideoGenerator
from mvt4g.inference.public_inputs import batch_of_one, check_depth, check_queries
from mvt4g.inference.reader import FromFiles, TrainedModel, running
from mvt4g.inference.saved_config import build_arguments, mapping_at
from mvt4g.inference.video_tracks import VideoTracks
from mvt4g.inference.view_pass import GenerationWay, generate_view
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.types import Cameras, InputError


@dataclass(frozen=True)
class GeneratedView:
    """A novel view of one video.

    Attributes:
        video: The target view, in [0, 1].
        cameras: Of both views, as they were given.
        tracks: Pixels (x, y) of every query in both views; None without queries or without a tracking head.
        visible: True where the head says that the point is seen.
        confidence: In [0, 1], how near the truth the head thinks a position is.
        choice: The candidates of ``spec.candidates``, and which one the video is from; None without them.
    """

    video: Float[Tensor, "t 3 h w"]
    cameras: Cameras
    tracks: Float[Tensor, "v t q 2"] | None = None
    visible: Bool[Tensor, "v t q"] | None = None
    confidence: Float[Tensor, "v t q"] | None = None
    choice: Choice | None = None


class NovelViewGenerator(FromFiles):
    """Generates novel views of videos as ``predict`` does, one at a time.

    ``from_run`` and ``from_weights`` read it from files.

    Args:
        model: Only run, never changed; on its device, in evaluation mode.
        spec: How videos are generated.
        autocast: Arithmetic of mixed precision; None = fp32.

    Raises:
        InputError: If a text or an encoder that ``spec.guidance`` names is missing.
    """

    def __init__(
        self,
        model: NovelViewModel,
        spec: GenerationSpec = GenerationSpec(),
        autocast: torch.dtype | None = None,
    ) -> None:
        self.model = model
        self.spec = spec
        self.autocast = autocast
        # Built at once, so that a missing file stops before the first video.
        self._depth = ReferenceDepth(spec.depth)
        self._guidance: dict[str | None, Guidance] = {None: self._build_guidance(None)}

    @classmethod
    def _of(cls, trained: TrainedModel) -> "NovelViewGenerator":
        where = f"{trained.where}.evaluation"
        given = mapping_at(trained.options, "evaluation", trained.where)
        # An evaluation has more options than generation goes by.
        known = GenerationSpec.__dataclass_fields__
        taken = {name: value for name, value in given.items() if name in known}
        spec = GenerationSpec(**build_arguments(GenerationSpec, taken, where))
        return cls(trained.model, spec, trained.autocast)

    def generate(
        self,
        video: Float[Tensor, "t c h w"],
        cameras: Cameras,
        queries: Float[Tensor, "q 4"] | None = None,
        prompt: str | None = None,
        seed: int = 0,
        sampler: Sampler | None = None,
        name: str = "video",
        depth: Float[Tensor, "t h w"] | None = None,
    ) -> GeneratedView:
        """Generate the target view of one video.

        The result is that of ``predict`` for the same frames, cameras, queries, seed, sampler and name.

        Args:
            video: The reference, RGB in [0, 1], of a size and length that the codec takes; of any length where
                ``spec.windows`` are shorter.
            cameras: (2 t): of the reference and of the target, one a frame; intrinsics in pixels of ``video``.
            queries: (view, frame, x, y) of the points to track, in pixels and frames of ``video``.
            prompt: Text to follow in place of the configuration's; wants its ``evaluation.guidance.encoder``.
            seed: Of the noise.
            sampler: In place of the configuration's.
            name: Of the video: noise follows seed and name, captions the name.
            depth: z-depth of ``video``'s pixel centres in the unit of the cameras, 0 or non-finite = none: what a
                backbone with a lifted view lifts it by.

        Raises:
            InputError: If an argument is of another shape or kind, queries come without a tracking head, a prompt
                without an encoder, or no depth for a backbone that lifts.
        """
        windows = self.spec.windows
        long = windows is not None and len(video) > windows.length
        with running(self.model, self.autocast) as device:
            # Of a long video one window at a time is taken to the device.
            place = "cpu" if long else device
            clip = batch_of_one([video], cameras, name, None if long else self.model.codec.grid, place)
            if depth is not None:
                clip = replace(clip, depth=check_depth(depth, clip))
            asked = None
            if queries is not None:
                if self.model.tracking_head is None:
                    raise InputError("queries: got some for a model without a trained tracking head, want None")
                asked = check_queries(queries, clip)
            sampler = sampler or self.spec.build_sampler()
            chooser = self.spec.build_chooser(self.model, sampler)
            way = GenerationWay(sampler, self._guidance_for(prompt), self._depth, chooser)
            if windows is not None and long:
                whole = LongVideoGenerator(self.model, windows, way, seed)(clip, asked)
                return _view(whole.video, cameras, whole.tracks)
            made = generate_view(self.model, clip, asked, way, seed)
        view = _view(made.video[0], cameras, None if made.tracks is None else made.tracks[0])
        return replace(view, choice=made.choices[0]) if made.choices else view

    def _guidance_for(self, prompt: str | None) -> Guidance:
        # Texts are encoded by a large network: once a prompt.
        if prompt not in self._guidance:
            self._guidance[prompt] = self._build_guidance(prompt)
        return self._guidance[prompt]

    def _build_guidance(self, prompt: str | None) -> Guidance:
        spec = self.spec.guidance
        backbone = self.model.backbone
        if prompt is not None:
            if spec.encoder is None:
                want = "want None"
                raise InputError(f"prompt: got a text without evaluation.guidance.encoder in the configuration, {want}")
            spec = replace(spec, prompt=prompt, text=None, captions=None)
        return Guidance(spec, backbone.text_shape, backbone.image_dim)


def _view(
    video: Float[Tensor, "t 3 h w"],
    cameras: Cameras,
    tracks: VideoTracks | None,
) -> GeneratedView:
    if tracks is None:
        return GeneratedView(video, cameras)
    return GeneratedView(video, cameras, tracks.tracks, tracks.visible, tracks.confidence)
