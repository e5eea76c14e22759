"""Share of the videos in which something moves: the guard against stills, which all other dimensions reward."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape
from mvt4g.metrics.functional.frames import valid_video
from mvt4g.metrics.functional.motion import dynamic_degree, flow_magnitude, sampling_step
from mvt4g.metrics.networks.frozen_net import FrozenNet
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.metrics.weights import MetricWeights
from mvt4g.types import InputError


class DynamicDegree(PerVideoMetric):
    """Share of the videos that move, and how fast their fastest pixels are.

    About 8 frames a second are compared, each with the next; all are where a video's rate is not known. A pair moves
    when the mean of its longest 5 % of flow vectors exceeds 6 pixels of a video 256 pixels high; a video is dynamic
    when a quarter of its frames do. Under three compared frames that cannot be told and the video has no value. Neither
    up nor down is better: the share is to be read beside the consistency scores. Mean over videos, keys
    ``dynamic_degree`` and ``flow_magnitude_px``.

    VBench's numbers come from RAFT trained on FlyingChairs and FlyingThings, 20 updates, at padded size: its authors'
    ``raft-things.pth``. torchvision's C_T_V1 weights are the same network's. Other weights give another score.

    Args:
        flow: Takes frames in [0, 1] and those they move to, (n 3 h w) each, to the motion (x, y) in pixels (n 2 h w).
        fps: Frames a second of videos whose own rate ``update`` is not told; None = every frame is compared.
        compat: Decide short videos as VBench does, which rounds the quarter's ties to even: two frames are always
            dynamic.
        pairs_at_once: Pairs that ``flow`` gets together; bounds memory, changes nothing else.

    Raises:
        InputError: If ``fps`` is not positive or ``pairs_at_once`` is under 1.

    Source:
        VBench (arXiv 2311.17982), dynamic degree.

    Example:
        >>> import torch
        >>> metric = DynamicDegree(flow=lambda before, after: 10 * torch.ones_like(before[:, :2]))
        >>> metric.update(torch.rand(1, 16, 3, 64, 64))
        >>> metric.compute()["dynamic_degree"]
        tensor(1., dtype=torch.float64)
    """

    key = "dynamic_degree"
    weights = ("raft",)
    is_differentiable = False
    higher_is_better = None
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(
        self,
        flow: Callable[[Float[Tensor, "n 3 h w"], Float[Tensor, "n 3 h w"]], Float[Tensor, "n 2 h w"]],
        fps: float | int | None = None,
        compat: bool = False,
        pairs_at_once: int = 4,
    ) -> None:
        super().__init__(["dynamic_degree", "flow_magnitude_px"])
        if fps is not None and not fps > 0:
            raise InputError(f"fps: got {fps}, want a positive number of frames a second")
        if pairs_at_once < 1:
            raise InputError(f"pairs_at_once: got {pairs_at_once}, want at least 1")
        self.flow = FrozenNet(flow)
        self.fps = fps
        self.compat = compat
        self.pairs_at_once = pairs_at_once

    @classmethod
    def from_weights(cls, files: MetricWeights, **options: Any) -> "DynamicDegree":
        """Build the metric through the networks of its ``weights``.

        Raises:
            InputError: If a file is broken.
        """
        from mvt4g.metrics.networks.flow import load_raft

        return cls(load_raft(files.path("raft")), **options)

    @torch.no_grad()
    def update(
        self,
        video: Shaped[Tensor, "b t 3 h w"],
        valid_frames: Bool[Tensor, "b t"] | None = None,
        fps: Float[Tensor, " b"] | None = None,
    ) -> None:
        """Add videos, uint8 or floats in [0, 1].

        Args:
            valid_frames: False for padding; such frames are not compared.
            fps: Frames a second of each video.

        Raises:
            InputError: If shape, type or range is wrong, of the videos, their rates or of the flow.
        """
        frames, valid = valid_video(video, valid_frames)
        rates = [self.fps] * len(frames) if fps is None else fps.tolist()
        if len(rates) != len(frames) or not all(rate is None or rate > 0 for rate in rates):
            raise InputError(f"fps: got {rates}, want {len(frames)} positive numbers, one a video")
        for clip, there, rate in zip(frames, valid, rates, strict=True):
            step = sampling_step(rate)
            sampled = there[::step]
            magnitudes = self._magnitudes(clip[::step], sampled)
            shorter_side = min(video.shape[-2:])
            dynamic = dynamic_degree(magnitudes, int(sampled.sum()), shorter_side, self.compat)
            self.add_video({"dynamic_degree": dynamic, "flow_magnitude_px": magnitudes.mean()})

    def compute(self) -> dict[str, Float[Tensor, ""]]:
        """Return both means over the videos that have a value, or NaN."""
        return self.means(self.columns)

    def _magnitudes(
        self,
        frames: Float[Tensor, "t 3 h w"],
        valid: Bool[Tensor, " t"],
    ) -> Float[Tensor, " pairs"]:
        # A pair counts where both of its frames do.
        starts = (valid[:-1] & valid[1:]).nonzero()[:, 0]
        found = [frames.new_zeros(0, dtype=torch.float64)]
        for start in starts.split(self.pairs_at_once) if len(starts) else []:
            flow = self.flow(frames[start], frames[start + 1])
            check_shape("flow", flow, "n 2 h w", n=len(start), h=frames.shape[-2], w=frames.shape[-1])
            found.append(flow_magnitude(flow))
        return torch.cat(found)
