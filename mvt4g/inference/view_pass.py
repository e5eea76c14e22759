"""One pass from a batch of clips to their target views: sampled from noise, decoded, tracked in with the references."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from mvt4g.diffusion.samplers import Sampler
from mvt4g.inference.candidates import CandidateChooser, Choice
from mvt4g.inference.encoding import encode_clip
from mvt4g.inference.guidance import Guidance
from mvt4g.inference.lifting.reference_depth import ReferenceDepth
from mvt4g.inference.noise import clip_noise
from mvt4g.inference.video_tracks import VideoTracks, at_video_frames
from mvt4g.models.novel_view import Generation, NovelViewModel
from mvt4g.types import REFERENCE, AttentionTap, MultiViewClip, TapRequest


class GenerationWay(NamedTuple):
    """How a view is generated.

    Attributes:
        sampler: Goes from noise to latents.
        guidance: Which texts and images it follows.
        depth: Gives the depth of references, where the backbone has a lifted view.
        chooser: Chooses among several seeds; None = the one given.
    """

    sampler: Sampler
    guidance: Guidance
    depth: ReferenceDepth = ReferenceDepth()
    chooser: CandidateChooser | None = None


class ViewPass(NamedTuple):
    """What was generated for a batch.

    Attributes:
        reference_latents: Of the reference video.
        video: The target view, in [0, 1].
        taps: Of the last sampling step, by layer.
        tracks: Of the query points in both views; None without queries or without a tracking head.
        choices: Which seed each clip's video is from; empty without candidates.
    """

    reference_latents: Float[Tensor, "b c f lh lw"]
    video: Float[Tensor, "b t 3 h w"]
    taps: dict[int, AttentionTap]
    tracks: VideoTracks | None
    choices: tuple[Choice, ...] = ()


def generate_view(
    model: NovelViewModel,
    clip: MultiViewClip,
    queries: Float[Tensor, "b q 4"] | None,
    way: GenerationWay,
    seed: int,
    layers: Sequence[int] = (),
    window: int = 0,
) -> ViewPass:
    """Generate the target view of a batch of clips, and track in both views.

    Args:
        model: Only run, never changed.
        clip: The reference's video and both views' cameras, with a batch axis.
        queries: (view, video frame, x, y), pixels; None = nothing is tracked.
        way: How.
        seed: Of the noise and of damage to depth, together with the clips' names.
        layers: Whose taps are given; the head's is among them where it tracks.
        window: Number of the window of a long video; its noise follows it.
    """
    names = clip.name if isinstance(clip.name, tuple) else (clip.name,)
    head = model.tracking_head
    tracks_points = head is not None and queries is not None
    wanted = {*layers, head.layer} if head is not None and tracks_points else {*layers}
    encoded = encode_clip(model, replace(clip, video=clip.video[:, [REFERENCE]]), way.depth, seed)
    latents = encoded.latents[:, REFERENCE]
    text, text_guidance = way.guidance.arguments(names, latents.device)
    image = way.guidance.image(clip.video[:, REFERENCE, 0])
    conditions = replace(encoded.conditions, text=text, image=image)

    def draw(one: int) -> Float[Tensor, "b c f lh lw"]:
        return clip_noise(names, one, latents.shape[1:], latents.device, window)

    def sample(noise: Float[Tensor, "b c f lh lw"], by: Sampler, taps: Mapping[int, TapRequest]) -> Generation:
        return model.generate(latents, clip.cameras, noise, by, conditions, text_guidance, taps)

    noise, choices = (draw(seed), ()) if way.chooser is None else way.chooser(clip, seed, draw, sample)
    made = sample(noise, way.sampler, {-1: TapRequest(sorted(wanted))} if wanted else {})
    video = model.codec.decode(made.latents)
    tracks = None
    if tracks_points:
        assert queries is not None
        prediction = model.track(made.taps, queries, clip.cameras)
        tracks = at_video_frames(prediction, clip.video.shape[2])
    return ViewPass(latents, video, made.taps, tracks, choices)
