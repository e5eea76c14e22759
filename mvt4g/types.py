"""The one vocabulary all floors share: clips, cameras, generated videos, attention taps, tracks, errors.

Axes: b v t n c h w = batch, view, frame, point, channel, height, width; f = latent frame; k d = heads, features a head.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from mvt4g.errors import InputError as InputError
from mvt4g.errors import Interrupted as Interrupted
from mvt4g.errors import RunStopped as RunStopped
from mvt4g.tensor_fields import TensorFields, stack_fields

REFERENCE = 0
TARGET = 1
"""Positions on the view axis."""
PIXEL_MAPS = ("depth", "instances", "dynamic", "covisible")
"""Fields of a clip that say something of every pixel."""


@dataclass(frozen=True)
class Cameras(TensorFields):
    """Pinhole cameras, OpenCV axes (x right, y down, z forward).

    Attributes:
        cam_from_world: Takes world points to the camera frame, scene units.
        intrinsics: K, in pixels of the image the camera took, pixel centres at i + 0.5.
    """

    cam_from_world: Float[Tensor, "*batch 4 4"]
    intrinsics: Float[Tensor, "*batch 3 3"]

    def __getitem__(self, index: Any) -> "Cameras":
        """Index the leading axes of both matrices alike."""
        return Cameras(self.cam_from_world[index], self.intrinsics[index])


@dataclass(frozen=True)
class MultiViewClip(TensorFields):
    """Synchronised videos of one scene, or a batch of them when every tensor has a leading ``*b``.

    Attributes:
        video: In [0, 1]; ``cameras``: one per view and frame.
        name: What the clip is called in files and logs; a tuple of names in a batch.
        tracks: Pixels (x, y) of every point in every view and frame, true through occlusion; of pseudo-tracks NaN where
            a hidden position is not known.
        visible: True where the point is seen; implies 0 <= x < w and 0 <= y < h.
        points_world: Positions in the world frame, scene units.
        point_instance: Id of the instance a point lies on, 0 = background.
        point_valid: False for padding.
        depth: z-depth of pixel centres, scene units; 0 or non-finite = none.
        instances: Instance id of every pixel, 0 = background.
        dynamic: True on pixels of instances that move anywhere in the clip.
        covisible: True on pixels of which other views know enough to be scored on (DyCheck: those that a tenth of the
            frames of other cameras see); all True in a view or frame of which nothing is known.
        caption: What the video shows; a tuple of captions in a batch.
        fps: Frames a second; a tuple of rates in a batch.
    """

    video: Float[Tensor, "*b v t c h w"]
    cameras: Cameras
    name: str | tuple[str, ...] = ""
    tracks: Float[Tensor, "*b v t n 2"] | None = None
    visible: Bool[Tensor, "*b v t n"] | None = None
    points_world: Float[Tensor, "*b t n 3"] | None = None
    point_instance: Int[Tensor, "*b n"] | None = None
    point_valid: Bool[Tensor, "*b n"] | None = None
    depth: Float[Tensor, "*b v t h w"] | None = None
    instances: Int[Tensor, "*b v t h w"] | None = None
    dynamic: Bool[Tensor, "*b v t h w"] | None = None
    covisible: Bool[Tensor, "*b v t h w"] | None = None
    caption: str | tuple[str, ...] | None = None
    fps: float | tuple[float, ...] | None = None

    @staticmethod
    def stack(clips: Sequence["MultiViewClip"]) -> "MultiViewClip":
        """Stack clips along a new leading batch axis: the only collate function.

        Raises:
            InputError: If ``clips`` is empty, or a field is there (or has a shape) in one clip and not in another.
        """
        return MultiViewClip(**stack_fields(clips))

    def select_views(self, views: Sequence[int]) -> "MultiViewClip":
        """Return the clip with only these views, in this order (works on a batch too)."""
        index = torch.as_tensor(views, device=self.video.device)
        taken: dict[str, Any] = {}
        # Counted from the right, since a batch has any number of axes on the left.
        for name, axis in {"video": 5, "tracks": 4, "visible": 3, **dict.fromkeys(PIXEL_MAPS, 4)}.items():
            value = getattr(self, name)
            if value is not None:
                taken[name] = value.index_select(value.ndim - axis, index)
        poses = self.cameras.cam_from_world
        intrinsics = self.cameras.intrinsics
        poses = poses.index_select(poses.ndim - 4, index)
        cameras = Cameras(poses, intrinsics.index_select(intrinsics.ndim - 4, index))
        return replace(self, cameras=cameras, **taken)


@dataclass(frozen=True)
class LatentClip(TensorFields):
    """What training needs of a clip whose videos were encoded before, or of a batch of them with a leading ``*b``.

    Attributes:
        latents: Of all views.
        cameras: One per view and video frame; intrinsics in pixels of the video.
        codec: ``Codec.identity`` of what made the latents, or its first word if no more is known; a tuple in a batch.
        name: What the clip is called in files and logs; a tuple of names in a batch.
        tracks: As ``MultiViewClip``, at all video frames; so are the next two.
        visible: Where they are seen.
        point_valid: False for padding.
        text: Embedding of the caption, a row a token.
        image: Tokens of each view's first frame.
        caption: What the text says; a tuple of captions in a batch.
    """

    latents: Float[Tensor, "*b v d f lh lw"]
    cameras: Cameras
    codec: str | tuple[str, ...]
    name: str | tuple[str, ...] = ""
    tracks: Float[Tensor, "*b v t n 2"] | None = None
    visible: Bool[Tensor, "*b v t n"] | None = None
    point_valid: Bool[Tensor, "*b n"] | None = None
    text: Float[Tensor, "*b l text_d"] | None = None
    image: Float[Tensor, "*b v i image_d"] | None = None
    caption: str | tuple[str, ...] | None = None

    @staticmethod
    def stack(clips: Sequence["LatentClip"]) -> "LatentClip":
        """Stack clips along a new leading batch axis; shorter texts are padded with zeros, as the network pads them.

        Raises:
            InputError: If ``clips`` is empty, or a field is there (or has a shape) in one clip and not in another.
        """
        # Zeros are how the network itself fills up a text, so that a batch does not change what it sees.
        longest = 0
        for clip in clips:
            longest = max(longest, 0 if clip.text is None else len(clip.text))
        padded = []
        for clip in clips:
            if clip.text is not None:
                text = F.pad(clip.text, (0, 0, 0, longest - len(clip.text)))
                clip = replace(clip, text=text)
            padded.append(clip)
        return LatentClip(**stack_fields(padded))

    def select_views(self, views: Sequence[int]) -> "LatentClip":
        """Return one clip (no batch axis) with only these views, in this order."""
        index = torch.as_tensor(views, device=self.latents.device)
        taken: dict[str, Any] = {}
        for name in ("latents", "tracks", "visible", "image"):
            value = getattr(self, name)
            if value is not None:
                taken[name] = value.index_select(0, index)
        return replace(self, cameras=self.cameras[index], **taken)


@dataclass(frozen=True)
class ViewRecord(TensorFields):
    """What is known of one view of a batch of videos; None = unknown.

    Attributes:
        video: uint8 or in [0, 1].
        depth: z-depth, scene units; 0 or non-finite = none.
        cam_from_world: Its cameras, in a world that all views share.
        intrinsics: K, pixels of the video.
        dynamic: True on what moves.
    """

    video: Shaped[Tensor, "b t 3 h w"] | None = None
    depth: Float[Tensor, "b t h w"] | None = None
    cam_from_world: Float[Tensor, "b t 4 4"] | None = None
    intrinsics: Float[Tensor, "b t 3 3"] | None = None
    dynamic: Bool[Tensor, "b t h w"] | None = None

    def named(self, view: str) -> dict[str, Shaped[Tensor, "..."] | None]:
        """Return every tensor or None, by name, as ``target_depth`` for a view that is called target."""
        return {f"{view}_{name}": value for name, value in vars(self).items()}


@dataclass(frozen=True)
class GeneratedVideos(TensorFields):
    """A batch of generated videos and what is known about them, as metrics take them; None = unknown.

    Attributes:
        names: One a video.
        video: The generated view, uint8 or in [0, 1].
        target: What it should be, with the cameras asked for.
        reference: What it was generated from.
        valid_frames: False for padding.
        mask: True on pixels that masked metrics look at, such as those that some input frame sees.
        pred_world_from_cam: Cameras estimated from the generated video.
        registered: False where no pose was found.
        codec_output: What the codec alone makes of ``codec_input``, a true video: none generated through it is nearer.
        queries: Query points (view, video frame, x, y) that were tracked through both views, pixels.
        tracks: Where each was found, pixels (x, y); ``visible`` where it was said to be seen.
        confidence: In [0, 1], of each position; ``cycle_px``: how far each query comes back from the other view;
            ``point_dynamic``: True on queries on what moves.
        cycle_home: Where each query's best match, matched back, comes home; at latent frames.
        fps: Frames a second; ``notes``: what tables tell of each video, such as why it has no pose.
    """

    names: tuple[str, ...]
    video: Shaped[Tensor, "b t 3 h w"]
    target: ViewRecord = ViewRecord()
    reference: ViewRecord = ViewRecord()
    valid_frames: Bool[Tensor, "b t"] | None = None
    mask: Bool[Tensor, "b t h w"] | None = None
    pred_world_from_cam: Float[Tensor, "b t 4 4"] | None = None
    registered: Bool[Tensor, "b t"] | None = None
    codec_output: Shaped[Tensor, "b t 3 h w"] | None = None
    codec_input: Shaped[Tensor, "b t 3 h w"] | None = None
    queries: Float[Tensor, "b q 4"] | None = None
    tracks: Float[Tensor, "b v t q 2"] | None = None
    visible: Bool[Tensor, "b v t q"] | None = None
    confidence: Float[Tensor, "b v t q"] | None = None
    cycle_px: Float[Tensor, "b q"] | None = None
    point_dynamic: Bool[Tensor, "b q"] | None = None
    cycle_home: Bool[Tensor, "b v f q"] | None = None
    fps: Float[Tensor, " b"] | None = None
    notes: tuple[str, ...] | None = None

    def known(self) -> dict[str, Shaped[Tensor, "..."]]:
        """Return the tensors that are there, by name; those of a view as ``target_depth``."""
        every = vars(self) | self.target.named("target") | self.reference.named("reference")
        known = {}
        for name, value in every.items():
            if isinstance(value, Tensor):
                known[name] = value
        return known

    @staticmethod
    def offered() -> set[str]:
        """Return every name that ``known`` may have, and those of the records."""
        of_views = ViewRecord().named("target") | ViewRecord().named("reference")
        return {*of_views, *GeneratedVideos.__dataclass_fields__}


@dataclass(frozen=True)
class LatentGrid:
    """How a codec's latents lie over a video: all a backbone must know of its codec.

    F = ``temporal_stride`` * m + 1 frames give m + 1 latent frames; latent frame j stands for video frame
    j * ``temporal_stride``. Cell (row, column) has its centre at pixel
    ((column + 0.5), (row + 0.5)) * ``spatial_stride``.
    """

    temporal_stride: int
    spatial_stride: int
    channels: int

    def latent_frames(self, num_frames: int) -> int:
        """Return the number of latent frames of ``num_frames`` video frames.

        Raises:
            InputError: If the length is not temporal_stride * m + 1.
        """
        if num_frames < 1 or (num_frames - 1) % self.temporal_stride:
            told = f"num_frames: got {num_frames}, want {self.temporal_stride}*m + 1"
            if num_frames > 0:
                told += f", such as the first {self.usable_frames(num_frames)}"
            raise InputError(told)
        # The first frame has a latent of its own, so that a single picture can be encoded.
        return (num_frames - 1) // self.temporal_stride + 1

    def usable_frames(self, num_frames: int) -> int:
        """Return how many leading frames of a video a model can take: the most that are temporal_stride * m + 1."""
        return (num_frames - 1) // self.temporal_stride * self.temporal_stride + 1


@dataclass(frozen=True)
class TapShape:
    """What is known of an attention tap before any forward: a tracking head is built from it.

    Attributes:
        num_heads: Attention heads k; ``head_dim``: features a head d.
        stride: Pixels a token covers on each side.
        temporal_stride: Video frames from one latent frame to the next.
    """

    num_heads: int
    head_dim: int
    stride: int
    temporal_stride: int


@dataclass(frozen=True)
class AttentionTap(TensorFields):
    """Queries and keys of one self-attention layer, view 0 the reference whatever the token order was.

    Attributes:
        layer: 0-based.
        query: After qk-norm, before rotary embedding; so is ``key``.
        rotary: Angles in radians that the layer rotates each interleaved feature pair by; broadcastable over b and k.
        frame_times: Video frame each latent frame stands for.
        stride: Pixels a token covers on each side; its centre is at (index + 0.5) * stride.
        other_key: Of tokens in the same attention that are no video (text), as attention uses them; None = none.
    """

    layer: int
    query: Float[Tensor, "b v f h w k d"]
    key: Float[Tensor, "b v f h w k d"]
    rotary: Float[Tensor, "#b v f h w #k half_d"]
    frame_times: Int[Tensor, " f"]
    stride: int
    other_key: Float[Tensor, "b l k d"] | None = None


TapReader = Callable[[AttentionTap], None]
"""Takes the tap of each layer asked for as soon as that layer has run."""


@dataclass(frozen=True)
class TapRequest:
    """Which taps a forward is asked for.

    Attributes:
        layers: 0-based.
        reader: Takes each tap as soon as its layer has run; none is returned then.
        stop_after: Nothing runs beyond the last of them, and nothing is predicted.
    """

    layers: Sequence[int] = ()
    reader: TapReader | None = None
    stop_after: bool = False


@dataclass(frozen=True)
class Conditions(TensorFields):
    """What a network is told beside latents, noise level and cameras; None = nothing.

    Attributes:
        text: None = the learned null text; ``image``: tokens of the reference's first frame.
        drop_text: Clips that get the null text whatever ``text`` says.
        channels: More channels of both views' latents (``conditioning.latent_channels``), such as a rendered video's.
    """

    text: Float[Tensor, "b l text_d"] | None = None
    image: Float[Tensor, "b i image_d"] | None = None
    drop_text: Bool[Tensor, " b"] | None = None
    channels: Float[Tensor, "b v more_c f h w"] | None = None


@dataclass(frozen=True)
class PointTruth(TensorFields):
    """Query points of a batch with the truth about them.

    Attributes:
        queries: (view, frame, x, y), pixels; frames are those a latent frame stands for.
        tracks: True pixels of each query's point in every view and video frame; ``visible`` where it is seen.
        valid: False for padding, where nothing of the entry means anything.
        frame_times: Video frame of each latent frame.
        image_size: Height and width of the video, pixels.
        dynamic: True on points of instances that move; None where the clip does not tell.
    """

    queries: Float[Tensor, "b q 4"]
    tracks: Float[Tensor, "b v t q 2"]
    visible: Bool[Tensor, "b v t q"]
    valid: Bool[Tensor, "b q"]
    frame_times: Int[Tensor, " f"]
    image_size: tuple[int, int]
    dynamic: Bool[Tensor, "b q"] | None = None

    def latent_tracks(self) -> Float[Tensor, "b v f q 2"]:
        """Return the tracks at latent frames."""
        return self.tracks[:, :, self.frame_times]

    def latent_visible(self) -> Bool[Tensor, "b v f q"]:
        """Return the visibility at latent frames: that of the video frame each stands for."""
        return self.visible[:, :, self.frame_times]


@dataclass(frozen=True)
class TrackPrediction(TensorFields):
    """Tracks after every refinement iteration, at latent frames.

    Attributes:
        tracks: Pixels (x, y) of the input video; the last iteration is the answer.
        visible_logit: Before the sigmoid; so is ``confidence_logit``, high where the position is near the truth.
        frame_times: Video frame each latent frame stands for.
    """

    tracks: Float[Tensor, "i b v f n 2"]
    visible_logit: Float[Tensor, "i b v f n"]
    confidence_logit: Float[Tensor, "i b v f n"]
    frame_times: Int[Tensor, " f"]

    def visible_probability(self) -> Float[Tensor, "b v f n"]:
        """Return P(visible) * P(confident) of the last iteration."""
        # A point that is lost may still be said to be seen: MV-TAP takes it at its word only where both hold.
        return self.visible_logit[-1].sigmoid() * self.confidence_logit[-1].sigmoid()
