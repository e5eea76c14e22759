"""Novel views of videos that are longer than a model's length: window by window, each going on from the one before."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from mvt4g.diffusion.flow_matching import FlowMatching, velocity_target
from mvt4g.diffusion.samplers import Sampler, Velocity
from mvt4g.inference.encoding import depths_of, encode_clip
from mvt4g.inference.noise import clip_noise
from mvt4g.inference.video_tracks import VideoTracks, at_video_frames
from mvt4g.inference.view_pass import GenerationWay, ViewPass, generate_view
from mvt4g.inference.window_spec import WindowSpec
from mvt4g.inference.window_store import WindowProgress, WindowStore
from mvt4g.inference.windows import CarriedTracks, windows_over
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.types import REFERENCE, TARGET, AttentionTap, InputError, MultiViewClip, TapRequest


@dataclass(frozen=True)
class LongView:
    """The target view of a long video.

    Attributes:
        video: In [0, 1], on the CPU, or in the file that a store keeps.
        tracks: Of the query points in both views; None without queries or without a tracking head.
    """

    video: Float[Tensor, "t 3 h w"]
    tracks: VideoTracks | None


class HeldSampler(Sampler):
    """Another sampler whose leading latent frames are led straight from their noise to what is known of them.

    A frame that is held wholly is, at every noise level, what is known, noised to that level. So the network sees it as
    it sees any frame of a video, and draws the other frames to go with it. A frame that is held in part is a mixture
    with what the network draws.

    Args:
        sampler: Of the other frames.
        known: Clean latents of the leading frames.
        share: How much each of them is held; 1 = wholly.
    """

    def __init__(
        self,
        sampler: Sampler,
        known: Float[Tensor, "b c known_f h w"],
        share: Float[Tensor, " known_f"],
    ) -> None:
        super().__init__(sampler.steps)
        self.sampler = sampler
        self.reuse = sampler.reuse
        self.known = known
        self.share = share

    def sigmas(self, flow: FlowMatching) -> Float[Tensor, " n"]:
        """Return the other sampler's noise levels."""
        return self.sampler.sigmas(flow)

    def walk(
        self,
        velocity: Velocity,
        noise: Float[Tensor, "b c f h w"],
        sigmas: Float[Tensor, " n"],
    ) -> Iterator[Float[Tensor, "b c f h w"]]:
        """Yield the latents after every step."""
        count = self.known.shape[2]
        straight = velocity_target(self.known, noise[:, :, :count])
        share = rearrange(self.share.to(noise), "f -> f 1 1")

        def held(
            latents: Float[Tensor, "b c f h w"], sigma: Float[Tensor, " b"], step: int
        ) -> Float[Tensor, "b c f h w"]:
            drawn = velocity(latents, sigma, step)
            led = torch.lerp(drawn[:, :, :count], straight.to(drawn.dtype), share.to(drawn.dtype))
            return torch.cat([led, drawn[:, :, count:]], dim=2)

        yield from self.sampler.walk(held, noise, sigmas)


class LongVideoGenerator:
    """Generates the target view of one long video, and tracks in both views.

    Cameras are those of the whole video, of which every window takes its part: a model sees them relative to its own
    first frame. Query points are carried from window to window as the tracker carries them. They are tracked on the
    taps of each window's sampling; a point that is asked for in a later window is tracked back through earlier ones on
    one more pass of each, over what was generated.

    Args:
        model: Only run, never changed.
        spec: How.
        way: How a window is generated. A reference that is lifted has the depth that it gives of the whole video.
        seed: Of the noise, together with the clip's name and the window's number; the first window's noise is that of
            the same video without windows.

    Raises:
        InputError: If the codec takes no window or overlap of so many frames.
    """

    def __init__(
        self,
        model: NovelViewModel,
        spec: WindowSpec,
        way: GenerationWay,
        seed: int,
    ) -> None:
        self.model = model
        self.spec = spec
        self.way = way
        self.seed = seed
        grid = model.codec.grid
        self.overlap = spec.overlap or grid.usable_frames(max(1, spec.length // 3))
        for name, frames in (("length", spec.length), ("overlap", self.overlap)):
            try:
                grid.latent_frames(frames)
            except InputError as error:
                raise InputError(f"evaluation.windows.{name}: {error}") from None

    @torch.no_grad()
    def __call__(
        self,
        clip: MultiViewClip,
        queries: Float[Tensor, "1 q 4"] | None = None,
        store: WindowStore | None = None,
    ) -> LongView:
        """Generate.

        Args:
            clip: The reference's video and both views' cameras, a batch of one, anywhere: a window at a time is taken
                to the model's device.
            queries: (view, video frame, x, y), pixels; None = nothing is tracked.
            store: Takes every window as it comes, and may have some already; None = memory.
        """
        store = store or WindowStore()
        if self.model.lifted_view is not None:
            # Of the whole video: drift and a plane's place are not those of a window.
            clip = replace(clip, depth=depths_of(clip, self.way.depth, self.seed)[:, None])
        device = next(self.model.parameters()).device
        windows = windows_over(clip.video.shape[2], self.spec.length, self.overlap, "evaluation.windows.overlap")
        video = store.open(clip.video[0, REFERENCE].shape)
        progress = store.load() or WindowProgress(0, video[:0].clone(), {})
        carried = None
        if self.model.tracking_head is not None and queries is not None:
            carried = CarriedTracks(queries.to(device), windows)
            carried.restore({name: value.to(device) for name, value in progress.tracks.items()})
        for number in range(progress.done, len(windows)):
            window = windows[number]
            part = _part(clip, window, device)
            made = self._window(part, number, progress.tail.to(device))
            if carried is not None:
                carried.visit(number, number - 1, partial(self._track, made.taps, part))
            frames = faded(progress.tail, made.video[0].float().cpu())
            # What the next window shares is not final: it is kept apart, so that nothing final is ever written anew.
            last = number + 1 == len(windows)
            final = len(window) if last else windows[number + 1].start - window.start
            video[window.start : window.start + final] = frames[:final]
            state = {} if carried is None else carried.state()
            kept = {name: value.cpu() for name, value in state.items()}
            progress = WindowProgress(number + 1, frames[final:].clone(), kept)
            store.save(progress)
        if carried is None:
            return LongView(video, None)
        for number in carried.earlier_windows():
            window = windows[number]
            part = _part(clip, window, device)
            generated = video[window.start : window.stop].to(device)
            carried.visit(number, number + 1, partial(self._track_again, part, generated, number))
        return LongView(video, carried.tracks[0])

    def _window(self, part: MultiViewClip, number: int, tail: Float[Tensor, "shared 3 h w"]) -> ViewPass:
        """Generate one window, given what the one before made of its first frames."""
        sampler = self.way.sampler
        count = self.model.codec.grid.usable_frames(len(tail)) if len(tail) else 0
        if count and self.spec.carry in ("noise", "hold"):
            known = self.model.codec.encode(tail[None, :count])
            share = torch.ones(known.shape[2]) if self.spec.carry == "hold" else 1 - rising(known.shape[2])
            sampler = HeldSampler(sampler, known, share)
        elif count and self.spec.carry == "reference":
            part = _with_references(part, tail[:count])
        head = self.model.tracking_head
        layers = () if head is None else (head.layer,)
        way = GenerationWay(sampler, self.way.guidance)
        return generate_view(self.model, part, None, way, self.seed, layers, number)

    def _track(
        self,
        taps: dict[int, AttentionTap],
        part: MultiViewClip,
        window: range,
        queries: Float[Tensor, "1 q 4"],
    ) -> VideoTracks:
        prediction = self.model.track(taps, queries, part.cameras)
        return at_video_frames(prediction, len(window))

    def _track_again(
        self,
        part: MultiViewClip,
        generated: Float[Tensor, "t 3 h w"],
        number: int,
        window: range,
        queries: Float[Tensor, "1 q 4"],
    ) -> VideoTracks:
        """Track in a window whose taps are gone: on what was generated, at the last sampling step's noise level."""
        head = self.model.tracking_head
        assert head is not None, "nothing is tracked without one"
        pair = replace(part, video=torch.stack([part.video[:, REFERENCE], generated[None]], dim=1))
        latents, conditions = encode_clip(self.model, pair)
        names = part.name if isinstance(part.name, tuple) else (part.name,)
        noise = clip_noise(names, self.seed, latents.shape[2:], latents.device, number)
        sigma = self.way.sampler.sigmas(self.model.flow)[-2:-1].to(latents.device)
        text, _ = self.way.guidance.arguments(names, latents.device)
        image = self.way.guidance.image(part.video[:, REFERENCE, 0])
        conditions = replace(conditions, text=text, image=image)
        asked = TapRequest([head.layer], stop_after=True)
        taps = self.model.noisy_pass(latents, part.cameras, sigma, noise, conditions, asked).taps
        return self._track(taps, part, window, queries)


def faded(
    before: Float[Tensor, "shared 3 h w"],
    after: Float[Tensor, "t 3 h w"],
) -> Float[Tensor, "t 3 h w"]:
    """Return a window's frames, those that it shares with the one before faded from that one's to its own."""
    shared = len(before)
    if not shared:
        return after
    share = rearrange(rising(shared).to(after), "t -> t 1 1 1")
    mixed = torch.lerp(before, after[:shared], share)
    return torch.cat([mixed, after[shared:]])


def rising(count: int) -> Float[Tensor, " {count}"]:
    """Return shares that rise evenly, strictly between 0 and 1: every shared frame has something of both windows."""
    return torch.arange(1, count + 1) / (count + 1)


def _part(clip: MultiViewClip, window: range, device: torch.device) -> MultiViewClip:
    """Return the frames of one window, of all that generation goes by, on a device."""
    frames = slice(window.start, window.stop)
    maps = {}
    for name in ("depth", "dynamic"):
        value = getattr(clip, name)
        maps[name] = None if value is None else value[:, :, frames].to(device)
    video = clip.video[:, :, frames].to(device)
    return MultiViewClip(video, clip.cameras[:, :, frames].to(device), clip.name, **maps)


def _with_references(part: MultiViewClip, tail: Float[Tensor, "known 3 h w"]) -> MultiViewClip:
    """Return a window in whose reference view the first frames are generated ones, seen by the target's cameras.

    What is generated has no depth, so that nothing of these frames is lifted.
    """
    known = len(tail)
    video = part.video.clone()
    video[:, REFERENCE, :known] = tail
    pose = part.cameras.cam_from_world.clone()
    intrinsics = part.cameras.intrinsics.clone()
    pose[:, REFERENCE, :known] = pose[:, TARGET, :known]
    intrinsics[:, REFERENCE, :known] = intrinsics[:, TARGET, :known]
    depth = None if part.depth is None else part.depth.clone()
    if depth is not None:
        depth[:, REFERENCE, :known] = 0.0
    cameras = replace(part.cameras, cam_from_world=pose, intrinsics=intrinsics)
    return replace(part, video=video, cameras=cameras, depth=depth)
