"""Depth of video frames by a network of transformers, out of a local folder; nothing is downloaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from mvt4g.types import Cameras, InputError

LEAST_DISPARITY = 1e-3
"""Share of the largest inverse depth of all frames under which a relative network's answer is sky: no depth."""


@dataclass(frozen=True)
class DepthPrediction:
    """What a network says of frames.

    Attributes:
        depth: z-depth at the size of the frames, 0 = none.
        confidence: Higher is better, 0 = none; None = it says none.
        cameras: One a frame, all in one world, in the unit of the depth; None = it estimates none.
        is_metric: Whether depth is in metres; else of any scale and shift of inverse depth, alike for all frames.
    """

    depth: Float[Tensor, "n h w"]
    confidence: Float[Tensor, "n h w"] | None = None
    cameras: Cameras | None = None
    is_metric: bool = False


@runtime_checkable
class DepthModel(Protocol):
    """A depth network of the user's, such as Depth Anything 3 or VGGT.

    It gets all frames of the reference and then all of the generated video at once, so that one that relates frames
    to each other answers in one world.
    """

    def __call__(self, frames: Float[Tensor, "n 3 h w"]) -> DepthPrediction:
        """Return depth of frames in [0, 1]."""
        ...


class TransformersDepth:
    """A depth network of transformers: Depth Anything (V2, metric too), ZoeDepth, DPT, Depth Pro and others.

    Every frame is estimated alone; scale and shift of the inverse depth are left to the alignment, one pair of each
    view.

    Args:
        folder: As ``save_pretrained`` writes it: ``config.json``, weights, and ``preprocessor_config.json``.
        device: Where it runs.

    Raises:
        InputError: If transformers is not installed, or the folder holds no such network.
    """

    def __init__(self, folder: Path, device: torch.device | str = "cpu") -> None:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder, want a depth network as save_pretrained writes it")
        try:
            from transformers import AutoImageProcessor, AutoModelForDepthEstimation
        except ImportError as error:
            raise InputError("--depth model: transformers is not installed, want the extra: mvt4g[wan]") from error
        try:
            self.processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
            self.network = AutoModelForDepthEstimation.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).partition("\n")[0][:200]
            raise InputError(f"{folder}: holds no depth network of transformers ({reason})") from error
        self.network.to(device).eval()
        self.device = device
        self.is_metric = self._gives_depth()

    @torch.no_grad()
    def __call__(self, frames: Float[Tensor, "n 3 h w"]) -> DepthPrediction:
        """Return depth of frames in [0, 1], estimated one by one."""
        height, width = frames.shape[-2:]
        maps = []
        for frame in frames:
            inputs = self.processor(images=frame.cpu(), do_rescale=False, return_tensors="pt").to(self.device)
            answer = self.network(**inputs).predicted_depth.float().cpu()
            sized = F.interpolate(answer[:, None], (height, width), mode="bilinear", align_corners=False)
            maps.append(sized[0, 0])
        answers = torch.stack(maps)
        if self.is_metric:
            return DepthPrediction(torch.where(answers > 0, answers, 0.0), is_metric=True)
        known = answers > LEAST_DISPARITY * answers.max()
        depth = torch.where(known, torch.where(known, answers, 1.0).reciprocal(), 0.0)
        return DepthPrediction(depth)

    def _gives_depth(self) -> bool:
        """Say whether the network answers in metres; others answer in inverse depth of no scale."""
        config = self.network.config
        if getattr(config, "depth_estimation_type", "relative") == "metric":
            return True
        return config.model_type in ("zoedepth", "depth_pro", "prompt_depth_anything")
