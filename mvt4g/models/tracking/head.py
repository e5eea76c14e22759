"""The tracking head: queries and keys of one attention layer -> multi-view tracks, visibility and confidence."""

from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mvt4g.geometry.plucker import plucker_at
from mvt4g.geometry.pose import compose, invert_pose, pose_from
from mvt4g.geometry.rotary import rotate_pairs
from mvt4g.matching.rows import argmax_matches, check_readable
from mvt4g.matching.tokens import latent_frame_of
from mvt4g.models.tracking.correlation import batched_correlation, local_patches
from mvt4g.models.tracking.refiner import Refiner
from mvt4g.models.tracking.upsampler import FeatureUpsampler, reduced
from mvt4g.ranges import Depth, Few, Natural, Side, Width, check_allocation, check_ranges
from mvt4g.types import REFERENCE, AttentionTap, Cameras, InputError, TapShape, TrackPrediction

TIME_FREQUENCIES = 6
"""Sine-cosine pairs that tell the refiner a latent frame's time."""


@dataclass(frozen=True)
class TrackingHeadSpec:
    """Sizes of the tracking head; the defaults are those of the tiny model.

    Attributes:
        stride: Pixels a cell of the upsampled maps covers on each side; must divide the tap's.
        channels: Features of the upsampled maps.
        upsampler_hidden: Width of the upsampling MLP.
        upsampling: By pixel shuffle, or bilinear between tokens.
        centred: Take from the maps what all cells of a clip share before normalising them.
        rotated: Correlate q and k after rotary embedding, as attention uses them, rather than before.
        scales: Reductions of the maps that are correlated.
        radius: Of the correlated patches, in cells of each scale.
        correlation_features: What the MLP makes of one scale's correlation.
        motion_degrees: Octaves of the encoding of motion between neighbouring frames.
        width: Of the refiner.
        num_heads: Of its attention.
        num_blocks: Of the refiner.
        mlp_ratio: Of the refiner's blocks.
        num_virtual: Virtual points.
        iterations: Refinement steps.
        recompute: Keep nothing of an iteration for backward but compute it again: less memory, more time.
        start: Where the search begins. ``attention``: in views other than the query's at the best match of the tap's
            own attention, in its own view at its own coordinates. ``everywhere``: at the best match in every view and
            frame but its own. ``query``: at its own coordinates in all.
    """

    stride: Side = 4
    channels: Width = 32
    upsampler_hidden: Width = 64
    upsampling: Literal["shuffle", "bilinear"] = "shuffle"
    centred: bool = True
    rotated: bool = False
    scales: tuple[Side, ...] = (1, 2)
    radius: Natural = 2
    correlation_features: Width = 32
    motion_degrees: Few = 6
    width: Width = 64
    num_heads: Depth = 4
    num_blocks: Depth = 2
    mlp_ratio: Depth = 2
    num_virtual: Width = 16
    iterations: Depth = 2
    recompute: bool = False
    start: Literal["attention", "everywhere", "query"] = "attention"

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range, or a scale is named twice.
        """
        check_ranges(self, "spec")
        patch = (2 * self.radius + 1) ** 2
        check_allocation("spec.radius", {"patch": patch, "patch again": patch, "features": self.correlation_features})
        a_block = self.width * self.width * (8 + 2 * self.mlp_ratio)
        check_allocation("spec.width", {"blocks": self.num_blocks, "weights of a block": a_block})
        check_allocation("spec.channels", {"channels": self.channels, "hidden": self.upsampler_hidden})
        if self.width % self.num_heads:
            raise InputError(f"spec.num_heads: got {self.num_heads}, want a divisor of width {self.width}")
        if not self.scales or min(self.scales) < 1 or len(set(self.scales)) < len(self.scales):
            raise InputError(f"spec.scales: got {self.scales}, want at least one, each at least 1 and none twice")

    @classmethod
    def full(cls) -> "TrackingHeadSpec":
        """Return the sizes of MV-TAP, for a DiT of Wan's size.

        MV-TAP halves its maps three times: reductions 1, 2, 4, 8, which reach 3 * 8 * 4 = 96 pixels from an estimate.
        The paper's "s in {1, 2, 3, 4}" can also be read as the reductions themselves (reach 48 pixels): ``scales``.
        """
        return cls(
            channels=128,
            upsampler_hidden=1024,
            scales=(1, 2, 4, 8),
            radius=3,
            correlation_features=256,
            motion_degrees=10,
            width=384,
            num_heads=8,
            num_blocks=3,
            mlp_ratio=4,
            num_virtual=64,
            iterations=4,
            recompute=True,
        )


@dataclass(frozen=True)
class Scale:
    """Keys of one scale, the query patches to correlate them with, and pixels a cell covers, (x, y)."""

    patches: Float[Tensor, "b n r d"]
    keys: Float[Tensor, "b vf h w d"]
    cell_size: Float[Tensor, "2"]


@dataclass(frozen=True)
class _Given:
    """What all iterations share."""

    scales: list[Scale]
    fixed: Float[Tensor, "b v f n c"]
    cameras: Cameras
    image_size: Float[Tensor, "2"]


class TrackingHead(nn.Module):
    """Tracks query points through every view and latent frame by what one attention layer knows.

    q and k (before rotary embedding by default) are upsampled; the patch around a query in the q map of its own view
    and frame is correlated, at several scales, with patches of the k maps of all views and frames around the current
    estimates; a transformer over time, views and points turns that into residuals, several times.

    Source: MVTrack4Gen (arXiv 2606.26087), section 5.2 and App. B.2; MV-TAP.
    """

    def __init__(
        self,
        tap_shape: TapShape,
        layer: Natural,
        spec: TrackingHeadSpec = TrackingHeadSpec(),
    ) -> None:
        """Build the head.

        Args:
            tap_shape: Of the backbone's taps.
            layer: 0-based block index whose tap the system hands to ``forward``.
            spec: Sizes.

        Raises:
            InputError: If the map's stride does not divide the tap's.
        """
        super().__init__()
        if tap_shape.stride % spec.stride:
            raise InputError(f"spec.stride: got {spec.stride}, want a divisor of the tap's stride {tap_shape.stride}")
        self.layer = layer
        self.spec = spec
        self.tap_shape = tap_shape
        token_dim = tap_shape.num_heads * tap_shape.head_dim
        factor = tap_shape.stride // spec.stride
        sizes = (token_dim, spec.channels, factor, spec.upsampler_hidden, spec.upsampling, spec.centred)
        self.query_upsampler = FeatureUpsampler(*sizes)
        self.key_upsampler = FeatureUpsampler(*sizes)
        # Equal at first, so that correlations start as the tokens' own dot products.
        self.key_upsampler.load_state_dict(self.query_upsampler.state_dict())
        patch = (2 * spec.radius + 1) ** 2
        hidden = spec.correlation_features + spec.correlation_features // 2
        self.correlation_mlp = nn.Sequential(
            nn.Linear(patch**2, hidden), nn.GELU(), nn.Linear(hidden, spec.correlation_features)
        )
        # Two logits, two flags of ``_fixed_features``; correlations; motion to both neighbours; two times.
        token = 4 + len(spec.scales) * spec.correlation_features + 4 * (1 + 2 * spec.motion_degrees)
        token += 4 * TIME_FREQUENCIES
        self.refiner = Refiner(token, spec.width, spec.num_heads, spec.num_blocks, spec.num_virtual, spec.mlp_ratio)
        self.ray_embedding = nn.Sequential(nn.Linear(6, spec.width), nn.LayerNorm(spec.width))
        self.role_embedding = nn.Parameter(torch.zeros(2, spec.width))
        nn.init.trunc_normal_(self.role_embedding, std=0.02)

    def forward(
        self,
        tap: AttentionTap,
        queries: Float[Tensor, "b n 4"],
        cameras: Cameras,
    ) -> TrackPrediction:
        """Track the queries.

        Args:
            tap: Of block ``layer``.
            queries: (view, video frame, x, y), pixels; any view, any frame.
            cameras: (b v t), of every video frame.

        Raises:
            InputError: If cameras and tap differ in views, there are too few camera frames, there is no query or one of
                no view, or a query or the tap is not finite.
        """
        self._check(tap, queries, cameras)
        given = _Given(
            scales=self.scales(tap, queries, *self.upsampled(tap)),
            fixed=self._fixed_features(tap.frame_times, queries, tap.query.shape[1]),
            cameras=_relative_cameras(cameras, tap.frame_times),
            image_size=queries.new_tensor([tap.query.shape[4], tap.query.shape[3]]) * tap.stride,
        )
        coords = self._start(tap, queries)
        unknown = torch.zeros_like(coords[..., 0])
        state = (coords, unknown, unknown)
        history = []
        for _ in range(self.spec.iterations):
            if self.spec.recompute and torch.is_grad_enabled():
                state = checkpoint(self._refined, *state, given, use_reentrant=False, preserve_rng_state=False)
            else:
                state = self._refined(*state, given)
            history.append(state)
        tracks, visible_logit, confidence_logit = (torch.stack(values) for values in zip(*history, strict=True))
        return TrackPrediction(tracks, visible_logit, confidence_logit, tap.frame_times)

    def _refined(
        self,
        coords: Float[Tensor, "b v f n 2"],
        visible: Float[Tensor, "b v f n"],
        confident: Float[Tensor, "b v f n"],
        given: _Given,
    ) -> tuple[Float[Tensor, "b v f n 2"], Float[Tensor, "b v f n"], Float[Tensor, "b v f n"]]:
        """One iteration: better positions (b v f n 2) and logits (b v f n); no gradient through where it looked."""
        views = coords.shape[1]
        coords = coords.detach()
        correlation = self.correlation(given.scales, rearrange(coords, "b v f n xy -> b n (v f) xy"))
        known = [
            torch.stack([visible, confident], dim=-1),
            rearrange(correlation, "b n (v f) c -> b v f n c", v=views),
            _motion_features(coords / given.image_size, self.spec.motion_degrees),
            given.fixed,
        ]
        role = self.role_embedding[[int(view != REFERENCE) for view in range(views)]]
        context = self._rays(coords, given.cameras) + rearrange(role, "v d -> v 1 1 d")
        residual = self.refiner(torch.cat(known, dim=-1), context).float()
        coords = coords + residual[..., :2] * self.spec.stride
        return coords, visible + residual[..., 2], confident + residual[..., 3]

    def _check(self, tap: AttentionTap, queries: Float[Tensor, "b n 4"], cameras: Cameras) -> None:
        views, frames = tap.query.shape[1:3]
        wanted = (frames - 1) * self.tap_shape.temporal_stride + 1
        got = tuple(cameras.cam_from_world.shape[1:3])
        if got[0] != views or got[1] < wanted:
            raise InputError(f"cameras: got {got[0]} views and {got[1]} frames, want {views} and at least {wanted}")
        if not queries.shape[1]:
            raise InputError("queries: got none, want at least one (view, frame, x, y)")
        check_readable(tap, queries)

    def upsampled(
        self,
        tap: AttentionTap,
    ) -> tuple[Float[Tensor, "m h w c"], Float[Tensor, "m h w c"]]:
        """Return the fine maps of q and of k, clips, views and frames on one axis."""
        query = tap.query
        key = tap.key
        if self.spec.rotated:
            query = rotate_pairs(query, tap.rotary)
            key = rotate_pairs(key, tap.rotary)
        # What all cells of a clip share is taken away clip by clip, hence the clips' own axis.
        query = rearrange(query, "b v f h w k d -> b (v f) h w (k d)")
        key = rearrange(key, "b v f h w k d -> b (v f) h w (k d)")
        query_maps = self.query_upsampler(query).flatten(0, 1)
        return query_maps, self.key_upsampler(key).flatten(0, 1)

    def scales(
        self,
        tap: AttentionTap,
        queries: Float[Tensor, "b q 4"],
        query_maps: Float[Tensor, "bvf h w d"],
        key_maps: Float[Tensor, "bvf h w d"],
    ) -> list[Scale]:
        """Reduce the maps to every scale, and read the query patches there."""
        batch, views, frames, height, width = tap.query.shape[:5]
        lower, upper, weight = latent_frame_of(queries[..., 1], tap.frame_times)
        # Maps lie clip by clip, view by view, frame by frame on one axis.
        clip = torch.arange(batch, device=queries.device)[:, None]
        first = (clip * views + queries[..., 0].long()) * frames
        index = torch.stack([first + lower, first + upper]).flatten()
        scales = []
        for scale in self.spec.scales:
            maps = reduced(query_maps, scale)
            keys = reduced(key_maps, scale)
            rows, columns = maps.shape[1:3]
            cell_size = queries.new_tensor([width * tap.stride / columns, height * tap.stride / rows])
            xy = (queries[..., 2:] / cell_size).flatten(0, 1)
            # A query between two latent frames is read in both.
            early, late = local_patches(maps, index, xy.repeat(2, 1), self.spec.radius).chunk(2)
            patches = torch.lerp(early, late, weight.flatten()[:, None, None].to(early.dtype))
            patches = rearrange(patches, "(b n) r d -> b n r d", b=batch)
            keys = rearrange(keys, "(b vf) h w d -> b vf h w d", b=batch)
            scales.append(Scale(patches, keys, cell_size))
        return scales

    def correlation(
        self,
        scales: list[Scale],
        coords: Float[Tensor, "b n vf 2"],
    ) -> Float[Tensor, "b n vf c"]:
        """Correlate around the current estimates, at every scale, and encode what is found."""
        features = []
        for scale in scales:
            xy = coords / scale.cell_size
            dots = batched_correlation(scale.patches, scale.keys, xy, self.spec.radius)
            features.append(self.correlation_mlp(rearrange(dots, "b n vf o r -> b n vf (o r)")))
        return torch.cat(features, dim=-1)

    def _start(self, tap: AttentionTap, queries: Float[Tensor, "b n 4"]) -> Float[Tensor, "b v f n 2"]:
        """The query's own coordinates, or the best match where the start rule says so."""
        views, frames = tap.query.shape[1:3]
        stay = repeat(queries[..., 2:], "b n xy -> b v f n xy", v=views, f=frames)
        if self.spec.start == "query":
            return stay
        view = rearrange(torch.arange(views, device=queries.device), "v -> v 1 1")
        kept = rearrange(queries[..., 0], "b n -> b 1 1 n") == view
        if self.spec.start == "everywhere":
            own_frame = rearrange(queries[..., 1], "b n -> b 1 1 n") == rearrange(tap.frame_times, "f -> f 1")
            kept = kept & own_frame
        return torch.where(kept[..., None], stay, argmax_matches(tap, queries).pixels)

    def _fixed_features(
        self,
        frame_times: Int[Tensor, " f"],
        queries: Float[Tensor, "b n 4"],
        views: int,
    ) -> Float[Tensor, "b v f n c"]:
        """What stays the same over iterations: is this the query's own view, own frame there, and when are we."""
        view = rearrange(torch.arange(views, device=queries.device), "v -> v 1 1")
        own_view = (rearrange(queries[..., 0], "b n -> b 1 1 n") == view).to(queries.dtype)
        since = rearrange(frame_times, "f -> f 1") - rearrange(queries[..., 1], "b n -> b 1 1 n")
        own_view, since = torch.broadcast_tensors(own_view, since)
        own_frame = own_view * (since == 0).to(queries.dtype)
        stride = self.tap_shape.temporal_stride
        now = rearrange(frame_times.to(queries.dtype) / stride, "f -> f 1").expand_as(since)
        flags = torch.stack([own_view, own_frame], dim=-1)
        return torch.cat([flags, _time_features(now), _time_features(since / stride)], dim=-1)

    def _rays(
        self,
        coords: Float[Tensor, "b v f n 2"],
        cameras: Cameras,
    ) -> Float[Tensor, "b v f n d"]:
        """Embedding of the ray through each current estimate."""
        with torch.autocast(coords.device.type, enabled=False):
            pose = rearrange(cameras.cam_from_world, "b v f i j -> b v f 1 i j")
            rays = plucker_at(coords, pose, rearrange(cameras.intrinsics, "b v f i j -> b v f 1 i j"))
            return self.ray_embedding(rays)  # fp32 too: in bf16 a ray is half a pixel off at 480p


def _relative_cameras(cameras: Cameras, frame_times: Int[Tensor, " f"]) -> Cameras:
    """Cameras at latent frames, relative to reference frame 0, the farthest of them at distance 1 from it."""
    cam_from_world = cameras.cam_from_world.float()
    world_from_reference = invert_pose(cam_from_world[:, REFERENCE, 0])
    at_latents = cam_from_world.index_select(2, frame_times)
    relative = compose(at_latents, rearrange(world_from_reference, "b i j -> b 1 1 i j"))
    translation = relative[..., :3, 3]
    farthest = translation.norm(dim=-1).amax(dim=(1, 2))
    # Cameras of one place have no scale, and none is made up.
    scale = torch.where(farthest > 1e-6, farthest, torch.ones_like(farthest))[:, None, None, None]
    pose = pose_from(relative[..., :3, :3], translation / scale)
    return Cameras(pose, cameras.intrinsics.float().index_select(2, frame_times))


def _motion_features(
    position: Float[Tensor, "b v f n 2"],
    degrees: int,
) -> Float[Tensor, "b v f n c"]:
    """Encode motion to the next and from the previous frame (image sizes), 0 at the ends."""
    forward = nn.functional.pad(position[:, :, :-1] - position[:, :, 1:], (0, 0, 0, 0, 0, 1))
    backward = nn.functional.pad(position[:, :, 1:] - position[:, :, :-1], (0, 0, 0, 0, 1, 0))
    motion = torch.cat([forward, backward], dim=-1)
    octaves = 2.0 ** torch.arange(degrees, device=motion.device, dtype=motion.dtype)
    angles = rearrange(motion[..., None] * octaves, "... m o -> ... (m o)")
    return torch.cat([motion, angles.sin(), angles.cos()], dim=-1)


def _time_features(time: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch c"]:
    """Encode a time in latent frames by sines and cosines of periods from 2 pi to 200 pi."""
    exponent = torch.arange(TIME_FREQUENCIES, device=time.device, dtype=time.dtype) / (TIME_FREQUENCIES - 1)
    angles = time[..., None] * 100.0**-exponent
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
