"""One pass from a batch of clips to their target views: sampled from noise, decoded, tracked in with the references."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from mvt4g.diffusion.samplers import Sampler
from mvt4g.inference.guidance import Guidance
from mvt4g.inference.noise import clip_noise
from mvt4g.inference.video_tracks import VideoTracks, at_video_frames
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.types import REFERENCE, AttentionTap, Conditions, MultiViewClip, TapRequest


class ViewPass(NamedTuple):
    """What was generated for a batch.

    Attributes:
        reference_latents: Of the reference video.
        video: The target view, in [0, 1].
        taps: Of the last sampling step, by layer.
        tracks: Of the query points in both views; None without queries or without a tracking head.
    """

    reference_latents: Float[Tensor, "b c f lh lw"]
    video: Float[Tensor, "b t 3 h w"]
    taps: dict[int, AttentionTap]
    tracks: VideoTracks | None


def generate_view(
    model: NovelViewModel,
    clip: MultiViewClip,
    queries: Float[Tensor, "b q 4"] | None,
    sampler: Sampler,
    guidance: Guidance,
    seed: int,
    layers: Sequence[int] = (),
    window: int = 0,
) -> ViewPass:
    """Generate the target view of a batch of clips, and track in both views.

    Args:
        model: Only run, never changed.
        clip: The reference's video and both views' cameras, with a batch axis.
        queries: (view, video frame, x, y), pixels; None = nothing is tracked.
        sampler: Goes from noise to latents.
        guidance: Which texts and images it follows.
        seed: Of the noise, together with the clips' names.
        layers: Whose taps are given; the head's is among them where it tracks.
        window: Number of the window of a long video; its noise follows it.
    """
    names = clip.name if isinstance(clip.name, tuple) else (clip.name,)
    head = model.tracking_head
    tracks_points = head is not None and queries is not None
    wanted = {*layers, head.layer} if head is not None and tracks_points else {*layers}
    latents = model.codec.encode(clip.video[:, REFERENCE])
    noise = clip_noise(names, seed, latents.shape[1:], latents.device, window)
    text, text_guidance = guidance.arguments(names, latents.device)
    conditions = Conditions(text, guidance.image(clip.video[:, REFERENCE, 0]))
    last_step = {-1: TapRequest(sorted(wanted))} if wanted else {}
    made = model.generate(latents, clip.cameras, noise, sampler, conditions, text_guidance, last_step)
    video = model.codec.decode(made.latents)
    tracks = None
    if tracks_points:
        assert queries is not None
        prediction = model.track(made.taps, queries, clip.cameras)
        tracks = at_video_frames(prediction, clip.video.shape[2])
    return ViewPass(latents, video, made.taps, tracks)
