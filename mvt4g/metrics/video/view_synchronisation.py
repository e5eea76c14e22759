"""Whether a generated view shows what its reference shows at the same frame."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.geometry.epipolar import epipolar_distance
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.pose import compose, invert_pose
from mvt4g.metrics.functional.checks import check_shape, unit_video
from mvt4g.metrics.functional.frames import valid_video
from mvt4g.metrics.functional.synchronisation import FrameMatches, best_offsets, mutual_matches
from mvt4g.metrics.networks.frozen_net import FrozenNet
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.metrics.video.full_reference import Video
from mvt4g.metrics.weights import MetricWeights
from mvt4g.types import InputError

FRAMES_AT_ONCE = 8
"""That go through the network together; bounds memory."""
SCORES = ("matched_share", "consistent_share", "synchronised_share", "offset_frames")


class _Cameras(NamedTuple):
    """Of every frame of both videos."""

    reference_from_target: Tensor
    target_intrinsics: Tensor
    reference_intrinsics: Tensor


class ViewSynchronisation(PerVideoMetric):
    """Feature matches between frame t of the generated view and the frames around t of the reference.

    Ours, under its own name: it stands where ReCamMaster has "Mat. Pix." (matches by GIM), whose protocol is not
    public, and its numbers do not compare with those. Two cells match when each is the other's nearest neighbour and
    their cosine is at least ``min_similarity``. Means over frames, then over videos:

    - ``matched_share``: cells of frame t that match one of the reference's frame t. Falls with occlusion too.
    - ``consistent_share``: of these matches, those within ``epipolar_cells`` of their epipolar line; where cameras
      are given.
    - ``synchronised_share``: decided frames t that match the reference's frame t better (cosines of the matches, added)
      than every other frame up to ``max_offset`` away. Chance is 1 / (2 max_offset + 1). A frame without a single best
      is undecided and counted: of a scene in which nothing moves nobody can tell the time.
    - ``offset_frames``: mean distance in time of the best match of decided frames.

    Where the reference camera moves, frames also match better for seeing the same place: print the score of the true
    target view beside it.

    Args:
        features: Takes frames (n 3 h w) in [0, 1] to features (n h' w' d) that cover the frame.
        min_similarity: Least cosine of a match, in (0, 1].
        max_offset: Frames looked at on either side.
        epipolar_cells: Largest Sampson distance of a consistent match, in cells (their longer side).

    Raises:
        InputError: If an argument is outside its range.

    Example:
        >>> import torch
        >>> metric = ViewSynchronisation(lambda frames: frames.movedim(1, -1), min_similarity=0.9, max_offset=1)
        >>> video = torch.rand(1, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> metric.update(video, video)
        >>> metric.compute()["synchronised_share"]
        tensor(1., dtype=torch.float64)
    """

    key = "view_synchronisation"
    weights = ("dino_vits16",)
    is_differentiable = False
    higher_is_better = None

    def __init__(
        self,
        features: Callable[[Float[Tensor, "n 3 h w"]], Float[Tensor, "n cells_h cells_w d"]],
        min_similarity: float | int = 0.5,
        max_offset: int = 3,
        epipolar_cells: float | int = 1.0,
    ) -> None:
        super().__init__(columns=(*SCORES, "num_undecided_frames"))
        if not 0 < min_similarity <= 1:
            raise InputError(f"min_similarity: got {min_similarity}, want a cosine in (0, 1]")
        if max_offset < 1:
            raise InputError(f"max_offset: got {max_offset}, want at least 1 frame")
        if not epipolar_cells > 0:
            raise InputError(f"epipolar_cells: got {epipolar_cells}, want a positive number of cells")
        self.net = FrozenNet(features)
        self.min_similarity = min_similarity
        self.offsets = range(-max_offset, max_offset + 1)
        self.epipolar_cells = epipolar_cells

    @classmethod
    def from_weights(cls, files: MetricWeights) -> "ViewSynchronisation":
        """Build the metric through the networks of its ``weights``.

        Raises:
            InputError: If a file is broken.
        """
        from mvt4g.metrics.networks.features import PatchFeatures

        return cls(files.load("dino_vits16", PatchFeatures))

    @torch.no_grad()
    def update(
        self,
        video: Video,
        reference_video: Video,
        valid_frames: Bool[Tensor, "b t"] | None = None,
        target_cam_from_world: Float[Tensor, "b t 4 4"] | None = None,
        reference_cam_from_world: Float[Tensor, "b t 4 4"] | None = None,
        target_intrinsics: Float[Tensor, "b t 3 3"] | None = None,
        reference_intrinsics: Float[Tensor, "b t 3 3"] | None = None,
    ) -> None:
        """Add generated videos and their references, in [0, 1] or uint8.

        Args:
            video: The generated view.
            reference_video: What it was generated from, of any size.
            valid_frames: False for padding, of both videos.
            target_cam_from_world: The cameras asked for. ``consistent_share`` needs all four of these; NaN without.
            reference_cam_from_world: The cameras of the reference.
            target_intrinsics: K of the generated view, pixels.
            reference_intrinsics: K of the reference.
        """
        given = (target_cam_from_world, reference_cam_from_world, target_intrinsics, reference_intrinsics)
        generated, there = valid_video(video, valid_frames)
        batch, frames = there.shape
        check_shape("reference_video", reference_video, "b t 3 h w", b=batch, t=frames)
        zero = reference_video.new_zeros(())
        reference = torch.where(rearrange(there, "b t -> b t 1 1 1"), reference_video, zero)
        reference = unit_video("reference_video", reference)
        cameras = _cameras(*given, batch, frames)
        for clip in range(batch):
            scores = self._clip_scores(generated[clip], reference[clip], there[clip], _index(cameras, clip))
            self.add_video(scores)

    def compute(self) -> dict[str, Float[Tensor, ""]]:
        """Return the four means, NaN where no video has one, and the number of undecided frames."""
        means = self.means(SCORES)
        means["num_undecided_frames"] = self.total("num_undecided_frames")
        return means

    def _clip_scores(
        self,
        video: Float[Tensor, "t 3 h w"],
        reference: Float[Tensor, "t 3 reference_h reference_w"],
        there: Bool[Tensor, " t"],
        cameras: _Cameras | None,
    ) -> dict[str, Float[Tensor, ""]]:
        """Return every column's value of one clip."""
        own = self._features(video)
        others = self._features(reference)
        strengths = torch.full((len(video), len(self.offsets)), torch.nan, device=video.device)
        shares = []
        consistent = []
        for frame, other in self._pairs(there):
            matches = mutual_matches(own[frame], others[other], self.min_similarity)
            strengths[frame, other - frame - self.offsets.start] = matches.strength()
            if frame == other:
                # Epipolar lines are of one moment: frames apart show other places of what moves.
                shares.append(matches.matched.float().mean())
                of_frame = _index(cameras, frame)
                if of_frame is not None and bool(matches.matched.any()):
                    sizes = (video.shape[-2:], reference.shape[-2:])
                    consistent.append(self._consistent_share(matches, others.shape[1:3], sizes, of_frame))
        offsets = best_offsets(strengths, self.offsets)[there]
        decided = ~offsets.isnan()
        return {
            "matched_share": _mean(shares, video),
            "consistent_share": _mean(consistent, video),
            "synchronised_share": (offsets[decided] == 0).float().mean(),
            "offset_frames": offsets[decided].abs().mean(),
            "num_undecided_frames": (~decided).sum().float(),
        }

    def _features(self, frames: Float[Tensor, "t 3 h w"]) -> Float[Tensor, "t cells_h cells_w d"]:
        return torch.cat([self.net(some) for some in frames.split(FRAMES_AT_ONCE)])

    def _pairs(self, there: Bool[Tensor, " t"]) -> Iterator[tuple[int, int]]:
        """Yield the frames to match: one of the video, one of the reference."""
        valid = there.tolist()
        for frame in range(len(valid)):
            first = max(0, frame + self.offsets.start)
            for other in range(first, min(len(valid), frame + self.offsets.stop)):
                if valid[frame] and valid[other]:
                    yield frame, other

    def _consistent_share(
        self,
        matches: FrameMatches,
        grid: torch.Size,
        sizes: tuple[torch.Size, torch.Size],
        cameras: _Cameras,
    ) -> Float[Tensor, ""]:
        """Return the share of a frame's matches that lie on their epipolar lines."""
        own = _cell_pixels(matches.matched.shape, sizes[0])[matches.matched.cpu()].to(matches.nearest.device)
        cells = _cell_pixels(grid, sizes[1]).flatten(0, 1).to(own.device)
        matched = cells[matches.nearest[matches.matched]]
        distance = epipolar_distance(
            own, matched, cameras.target_intrinsics, cameras.reference_intrinsics, cameras.reference_from_target
        )
        # The longer side of a cell: along the shorter one a match is surer than it need be.
        cell = max(sizes[1][0] / grid[0], sizes[1][1] / grid[1])
        return (distance <= self.epipolar_cells * cell).float().mean()


def _index(cameras: _Cameras | None, place: int) -> _Cameras | None:
    """Return the cameras of one clip, or of one of its frames."""
    return None if cameras is None else _Cameras(*(matrix[place] for matrix in cameras))


def _cameras(
    target: Shaped[Tensor, "..."] | None,
    reference: Shaped[Tensor, "..."] | None,
    target_intrinsics: Shaped[Tensor, "..."] | None,
    reference_intrinsics: Shaped[Tensor, "..."] | None,
    batch: int,
    frames: int,
) -> _Cameras | None:
    """Check the cameras, and return None unless all are known."""
    if target is None or reference is None or target_intrinsics is None or reference_intrinsics is None:
        return None
    for name, pose in (("target_cam_from_world", target), ("reference_cam_from_world", reference)):
        check_shape(name, pose, "b t 4 4", b=batch, t=frames)
    for name, matrix in (("target_intrinsics", target_intrinsics), ("reference_intrinsics", reference_intrinsics)):
        check_shape(name, matrix, "b t 3 3", b=batch, t=frames)
    return _Cameras(compose(reference, invert_pose(target)), target_intrinsics, reference_intrinsics)


def _cell_pixels(grid: torch.Size, size: torch.Size) -> Float[Tensor, "h w 2"]:
    """Return the centres (x, y) of cells that cover a frame, pixels."""
    cell = torch.tensor([size[1] / grid[1], size[0] / grid[0]])
    return pixel_centres(grid[0], grid[1]) * cell


def _mean(values: list[Float[Tensor, ""]], like: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    return torch.stack(values).mean() if values else like.new_tensor(torch.nan)
