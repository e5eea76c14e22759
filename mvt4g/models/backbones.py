"""Backbones: a token layout, a DiT and the ways that cameras enter it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mvt4g.models.checkpoints import load_weights
from mvt4g.models.conditioning.interface import CameraConditioning, identity_linear
from mvt4g.models.conditioning.plucker import packed_channels, packed_rays
from mvt4g.models.conditioning.relative_pose import RelativePoseConditioning
from mvt4g.models.conditioning.rotary import CameraPhase
from mvt4g.models.layers.attention import QueryKey
from mvt4g.models.layers.rope import axis_dims, rotary_angles
from mvt4g.models.video_dit import CONTROL, DiTBlock, VideoDiT, VideoDiTConfig
from mvt4g.types import REFERENCE, TARGET, AttentionTap, Cameras, InputError, LatentGrid, TapReader, TapShape

PHASES = ("rope_phase_qk", "rope_phase_vo")


class BackboneOutput(NamedTuple):
    """What the network says of the target's latents, and the taps of the layers asked for."""

    velocity: Float[Tensor, "b c f h w"]
    taps: dict[int, AttentionTap]


class EncodedCameras(NamedTuple):
    """What a network is told of cameras: ``Backbone.encode_cameras`` makes it once for all steps of a sampling.

    Attributes:
        angles: Rotary angles of the tokens' positions, target frames first; radians.
        features: By the name of what takes them, in the same order.
    """

    angles: Float[Tensor, "1 f h w 1 half_d"]
    features: dict[str, Float[Tensor, "b f _ _ _"]]


class Backbone(nn.Module):
    """A DiT that sees two views as one sequence, target frames first, then reference frames.

    ``null_text``, learned, stands in where there is no text.

    Attributes:
        grid: How the latents lie over the video.
        num_layers: Blocks that can be tapped.
        tap_shape: What their taps look like.
    """

    def __init__(
        self,
        dit: VideoDiTConfig,
        grid: LatentGrid,
        conditioning: Sequence[CameraConditioning],
        null_text_length: int,
    ) -> None:
        super().__init__()
        if dit.patch_size[0] != 1 or dit.patch_size[1] != dit.patch_size[2]:
            raise InputError(f"patch_size: got {dit.patch_size}, want (1, p, p)")
        if not 1 <= null_text_length <= dit.text_len:
            raise InputError(f"null_text_length: got {null_text_length}, want 1 to text_len {dit.text_len}")
        if dit.in_channels < grid.channels:
            raise InputError(f"dit.in_channels: got {dit.in_channels}, want at least the latents' {grid.channels}")
        if dit.control_channels not in (None, packed_channels(grid)):
            raise InputError(
                f"dit.control_channels: got {dit.control_channels}, want {packed_channels(grid)}, those of the packed"
                " rays (6 * temporal_stride * spatial_stride**2), or null"
            )
        axis_dims(dit.head_dim)  # raises now rather than at the first forward
        self.grid = grid
        self.num_layers = dit.num_layers
        self.tap_shape = TapShape(
            dit.num_heads, dit.head_dim, dit.patch_size[1] * grid.spatial_stride, grid.temporal_stride
        )
        self.dit = VideoDiT(dit)
        self.null_text = nn.Parameter(0.02 * torch.randn(1, null_text_length, dit.text_dim))
        self.camera_encoders = nn.ModuleDict()
        for way in conditioning:
            for block in self.dit.blocks:
                assert isinstance(block, DiTBlock)
                block.add_camera_input(way.name, way.build_input(dit), way.place == "attention_bias")
            self.camera_encoders[way.name] = way.build_encoder(dit, grid)

    def frame_positions(self, num_frames: int, device: torch.device) -> Tensor:
        """Return the rotary time position of the target's latent frames, then of the reference's."""
        raise NotImplementedError

    def forward(
        self,
        target_latents: Float[Tensor, "b c f h w"],
        reference_latents: Float[Tensor, "b c f h w"],
        timestep: Float[Tensor, " b"],
        cameras: Cameras | EncodedCameras,
        text: Float[Tensor, "b l text_d"] | None = None,
        tap_layers: Sequence[int] = (),
        read_tap: TapReader | None = None,
        image: Float[Tensor, "b i image_d"] | None = None,
        drop_text: Bool[Tensor, " b"] | None = None,
        predict: bool = True,
    ) -> BackboneOutput:
        """Predict for the noisy target, given the clean reference and both views' cameras.

        Args:
            target_latents: At noise level ``timestep``.
            reference_latents: Clean.
            timestep: sigma in [0, 1], 1 = pure noise.
            cameras: (b 2 t), view 0 the reference, one a video frame; intrinsics in pixels of the video. Or what
                ``encode_cameras`` made of them for latents of this size.
            text: None = the learned null text.
            tap_layers: 0-based.
            read_tap: Takes the tap of each of ``tap_layers`` as soon as it has run; ``taps`` comes back empty then.
            image: Tokens of the reference's first frame, for a network that sees an image; None = none.
            drop_text: Clips that get the null text whatever ``text`` says.
            predict: False = taps are all that is wanted: nothing runs beyond the last of them, and the velocity comes
                back with no frame.

        Raises:
            InputError: If latents, cameras and layers do not fit each other or the network.
        """
        batch, _, frames, height, width = target_latents.shape
        self._check_inputs(target_latents, tap_layers)
        if isinstance(cameras, Cameras):
            cameras = self._encode_cameras(cameras, frames, height, width)
        self._check_grid(cameras.angles, frames, height, width)

        def read(layer: int, tap: QueryKey) -> None:
            assert read_tap is not None
            read_tap(self._tap(layer, tap))

        output = self.dit(
            self._joint_latents(target_latents, reference_latents),
            timestep,
            self._text(text, drop_text, batch),
            cameras.angles,
            cameras.features,
            tap_layers,
            num_output_frames=frames if predict else 0,
            read_tap=None if read_tap is None else read,
            image=image,
        )
        return BackboneOutput(output.latents, {layer: self._tap(layer, tap) for layer, tap in output.taps.items()})

    def encode_cameras(self, cameras: Cameras, frames: int, height: int, width: int) -> EncodedCameras:
        """Return what ``forward`` makes of cameras in every call otherwise.

        Args:
            cameras: As ``forward``.
            frames: Latent frames of one view.
            height: Rows of the latents.
            width: Columns of the latents.

        Raises:
            InputError: If the cameras are not those of two views of so many latent frames, or no tokens cover the size.
        """
        return self._encode_cameras(cameras, frames, height, width)

    def freeze_beyond(self, layer: int, rotated: bool) -> None:
        """Freeze what no loss on taps of the blocks up to ``layer`` reaches.

        Args:
            layer: 0-based.
            rotated: Such a loss looks at the last tap as attention does, after rotary embedding.
        """
        self.dit.freeze_beyond(layer, rotated)
        if layer == 0:
            self.null_text.requires_grad_(False)

    def _encode_cameras(self, cameras: Cameras, frames: int, height: int, width: int) -> EncodedCameras:
        """Do so inside ``forward``, where FSDP2 must not gather and free the weights once more."""
        _, rows, columns = self.dit.config.patch_size
        if height % rows or width % columns:
            stride = self.tap_shape.stride
            raise InputError(
                f"video size: got {height * self.grid.spatial_stride}x{width * self.grid.spatial_stride} (h x w),"
                f" want multiples of {stride}"
            )
        views, num_frames = cameras.cam_from_world.shape[1:3]
        if views != 2:
            raise InputError(f"cameras: got {views} views, want 2 (reference, target)")
        if self.grid.latent_frames(num_frames) != frames:
            wanted = (frames - 1) * self.grid.temporal_stride + 1
            raise InputError(f"cameras: got {num_frames} frames, want {wanted} for {frames} latent frames")
        angles = self._angles(frames, height, width, cameras.cam_from_world.device)
        return EncodedCameras(angles, self._camera_features(cameras, height, width))

    def _text(
        self, text: Float[Tensor, "b l d"] | None, dropped: Bool[Tensor, " b"] | None, batch: int
    ) -> Float[Tensor, "b _ d"]:
        null = self.null_text.expand(batch, -1, -1)
        if text is None:
            return null
        if dropped is None or text.shape[2] != null.shape[2]:  # of another width: the DiT says so
            return text
        length = max(text.shape[1], null.shape[1])
        text, null = (F.pad(part, (0, 0, 0, length - part.shape[1])) for part in (text, null))
        return torch.where(dropped[:, None, None], null, text)

    def _joint_latents(
        self, target: Float[Tensor, "b c f h w"], reference: Float[Tensor, "b c f h w"]
    ) -> Float[Tensor, "b in_c 2*f h w"]:
        """Lay the frames of both views one after the other; channels that the codec lacks are zero."""
        joint = torch.cat([target, reference], dim=2)
        missing = self.dit.config.in_channels - joint.shape[1]
        return F.pad(joint, (0, 0, 0, 0, 0, 0, 0, missing)) if missing else joint

    def _angles(self, frames: int, height: int, width: int, device: torch.device) -> Float[Tensor, "1 f h w 1 half_d"]:
        _, rows, columns = self.dit.config.patch_size
        positions = self.frame_positions(frames, device)
        angles = rotary_angles(self.tap_shape.head_dim, positions, height // rows, width // columns)
        return rearrange(angles, "f h w half_d -> 1 f h w 1 half_d")

    def _camera_features(self, cameras: Cameras, height: int, width: int) -> dict[str, Float[Tensor, "b f _ _ _"]]:
        features, rays = {}, None
        with torch.autocast(cameras.intrinsics.device.type, enabled=False):
            for name, encoder in self.camera_encoders.items():
                features[name] = _target_first(encoder(cameras, height, width).to(self.null_text.dtype), dim=1)
            if self.dit.config.control_channels is not None:
                rays = _target_first(packed_rays(cameras, self.grid, height, width), dim=2)
        if rays is not None:
            features[CONTROL] = self.dit.embed_control(rays)
        return features

    def _tap(self, layer: int, tap: QueryKey) -> AttentionTap:
        query, key, rotary = (rearrange(part, "b (v f) h w k d -> b v f h w k d", v=2).flip(1) for part in tap)
        times = self.grid.temporal_stride * torch.arange(query.shape[2], device=query.device)
        return AttentionTap(layer, query, key, rotary, times, self.tap_shape.stride)

    def _check_inputs(self, latents: Tensor, tap_layers: Sequence[int]) -> None:
        if latents.shape[1] != self.grid.channels:
            raise InputError(f"latents: got {latents.shape[1]} channels, want {self.grid.channels}")
        for layer in tap_layers:
            if not 0 <= layer < self.num_layers:
                raise InputError(f"tap layer: got {layer}, want 0 to {self.num_layers - 1} ({self.num_layers} layers)")

    def _check_grid(self, angles: Tensor, frames: int, height: int, width: int) -> None:
        _, rows, columns = self.dit.config.patch_size
        wanted = (2 * frames, height // rows, width // columns)
        if angles.shape[1:4] != wanted:
            raise InputError(f"cameras: got some encoded for {tuple(angles.shape[1:4])} tokens, want {wanted}")

    def _start_from(
        self, weights: Path | list[Path] | None, extra: Sequence[CameraConditioning], own_parts: Sequence[str]
    ) -> None:
        """Load what there is to load; ``own_parts`` is what this backbone adds to the blocks of its base."""
        if weights is not None:
            load_weights(self, weights, [way.name for way in extra], base_may_lack=own_parts)


def _target_first(by_view: Tensor, dim: int) -> Tensor:
    """Lay the views of (b v ...) one after the other on axis ``dim`` of what remains."""
    return torch.cat([by_view[:, TARGET], by_view[:, REFERENCE]], dim=dim)


class ReCamMaster(Backbone):
    """ReCamMaster: relative poses into every block and an identity-initialised projector after every self-attention.

    Rotary time runs on from the target's frames to the reference's, as it was trained, so the same moment of both views
    is f positions apart.

    Args:
        extra_conditioning: More ways for cameras to enter, each changing nothing until it is trained.
        null_text_length: Tokens of the learned text that stands in for none.
        weights: Checkpoint of a fit, or a public one, to start from; or a list, overlays after what they go over. What
            it lacks of ``extra_conditioning`` stays at zero. See CHECKPOINTS.md.

    Raises:
        InputError: If sizes do not go together, or the checkpoint is not this model's.

    Source: ReCamMaster, arXiv 2503.11647, and its released code.
    """

    def __init__(
        self,
        dit: VideoDiTConfig,
        grid: LatentGrid,
        extra_conditioning: Sequence[CameraConditioning] = (),
        null_text_length: int = 8,
        weights: Path | list[Path] | None = None,
    ) -> None:
        super().__init__(dit, grid, [RelativePoseConditioning(), *extra_conditioning], null_text_length)
        for block in self.dit.blocks:
            block.projector = identity_linear(dit.dim)
        self._start_from(weights, extra_conditioning, ("cam_encoder", "projector"))

    def frame_positions(self, num_frames: int, device: torch.device) -> Tensor:
        """Return 0 to 2f - 1."""
        return torch.arange(2 * num_frames, device=device)


class ReDirector(Backbone):
    """ReDirector: packed rays of both views beside the tokens, and as phases of every self-attention.

    The rays pass the control adapter of its base, Wan2.1-Fun-Control-Camera. What comes out is added to the tokens and
    turns queries, keys and values (rotary camera encoding). Both views share their rotary times, so that the same
    moment has the same place in both, and a clip may be as long as one likes. Of the channels that the base has beyond
    the latents', for a first frame to go on from, none is used.

    Args:
        dit: With ``control_channels``, and ``image_dim`` for the base's image tokens.
        extra_conditioning: More ways for cameras to enter, each changing nothing until it is trained.
        null_text_length: Tokens of the learned text that stands in for none.
        weights: Checkpoint of a fit, or a public one, to start from; or a list, overlays after what they go over. What
            it lacks of ``extra_conditioning`` stays at zero. See CHECKPOINTS.md.

    Raises:
        InputError: If sizes do not go together, or the checkpoint is not this model's.

    Source: ReDirector, arXiv 2511.19827, and its released code.
    """

    def __init__(
        self,
        dit: VideoDiTConfig,
        grid: LatentGrid,
        extra_conditioning: Sequence[CameraConditioning] = (),
        null_text_length: int = 8,
        weights: Path | list[Path] | None = None,
    ) -> None:
        if dit.control_channels is None:
            raise InputError(f"dit.control_channels: got null, want {packed_channels(grid)}, those of the packed rays")
        super().__init__(dit, grid, extra_conditioning, null_text_length)
        for block in self.dit.blocks:
            for phase in PHASES:
                setattr(block.self_attn, phase, CameraPhase(dit.dim, dit.num_heads, dit.head_dim))
        self._start_from(weights, extra_conditioning, PHASES)

    def frame_positions(self, num_frames: int, device: torch.device) -> Tensor:
        """Return 0 to f - 1 twice."""
        return torch.arange(num_frames, device=device).repeat(2)
