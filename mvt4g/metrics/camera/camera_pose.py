"""Errors of the cameras of generated videos: paths against paths, and pairs of frames against pairs."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.metrics.functional.camera import protocol_errors, protocol_named, published_errors, translation_error
from mvt4g.metrics.functional.camera_paths import CONVENTIONS, STATIC, CameraPaths, camera_paths
from mvt4g.metrics.functional.relative_pose import relative_pose_accuracy
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.ranges import check_word

OnFailure = Literal["nan", "skip", "penalty"]
COUNTED = ("registered_fraction", "num_failed", "num_static")
"""Columns that both classes keep beside their scores."""
POSE_ALIGNED = "translation_error_pose_aligned"


class CameraPoseError(PerVideoMetric):
    """Rotation error, translation error and CamMC of estimated camera paths, under one paper's protocol.

    A video fails when fewer than two of its frames have a pose. With some frames lost, the others are scored, and
    ``registered_fraction`` says how many there were. ``compute`` returns means over videos:

    - ``mvtrack4gen``: ``rotation_error_deg``, ``translation_error``, ``cam_mc``: means over frames, translations
      divided by their own largest norm.
    - ``camI2V``: ``rotation_error_rad_sum``, ``translation_error_sum``, ``cam_mc_sum``: sums over frames.
    - ``redirector``: ``rotation_error_pairwise_deg``, ``translation_error_sim3`` (share of the true path's extent) and
      beside it ``translation_error_pose_aligned``, which sees the direction of straight paths; it has no CamMC.

    For camI2V and redirector ``translation_error_..._as_published`` and ``cam_mc_sum_as_published`` stand beside them.
    They hold the value that the protocol's own code gives a true path that stands still, where the plain keys have
    none; a paper's mean is to be compared with these.

    Each has ``registered_fraction``, ``num_failed``, ``num_static`` (true paths that stand still, which have no
    translation error, and CamMC from rotations alone) and ``num_videos``.

    Args:
        protocol: One of the three above; see ``functional.camera.camera_errors``.
        on_failure: What a failed video does to the means. ``nan``: one is enough to make them NaN, so that none is
            overlooked. ``skip``: they are over the others, to be read with ``num_failed``. ``penalty``: it scores
            as a camera that never moves; a video of a single frame cannot, and is left out.
        convention: What both paths are given in, one of ``CONVENTIONS``.
        orthonormalize: Replace noisy 3x3 parts by their nearest rotations instead of refusing them.
        static_threshold: Scene units from its first frame within which a true path stands still.

    Raises:
        InputError: For an unknown option, and at ``update`` for shapes that differ and poses that are none.

    Example:
        >>> import torch
        >>> target = torch.eye(4).repeat(1, 3, 1, 1)
        >>> target[..., 0, 3] = torch.tensor([0.0, 1.0, 2.0])
        >>> pred = target.clone()
        >>> pred[..., 0, 3] = torch.tensor([0.0, 4.0, 4.0])
        >>> metric = CameraPoseError("mvtrack4gen")
        >>> metric.update(pred, target)
        >>> round(float(metric.compute()["translation_error"]), 4)
        0.1667
    """

    higher_is_better = False
    is_differentiable = False
    plot_lower_bound = 0.0

    def __init__(
        self,
        protocol: str = "mvtrack4gen",
        on_failure: OnFailure = "nan",
        convention: str = CONVENTIONS[0],
        orthonormalize: bool = False,
        static_threshold: float | int = STATIC,
    ) -> None:
        chosen = protocol_named(protocol)
        check_word("on_failure", on_failure, OnFailure)
        errors = (*chosen.keys, *chosen.published_keys)
        if chosen.align == "sim3":
            errors = (*errors, POSE_ALIGNED)
        super().__init__((*errors, *COUNTED))
        self.key = f"camera/{protocol}"
        self.protocol = chosen
        self.errors = errors
        self.on_failure = on_failure
        self.paths = _path_reader(convention, orthonormalize, static_threshold)

    def update(
        self,
        pred_world_from_cam: Float[Tensor, "b t 4 4"],
        target_world_from_cam: Float[Tensor, "b t 4 4"],
        registered: Bool[Tensor, "b t"] | None = None,
    ) -> None:
        """Add videos: estimated poses, true ones, and which frames the estimator found (None = all)."""
        paths = self.paths(pred_world_from_cam, target_world_from_cam, registered)
        columns = self._columns(paths)
        failed = paths.failed
        if self.on_failure == "penalty" and bool(failed.any()):
            still = torch.eye(4, dtype=torch.float64, device=failed.device).expand_as(target_world_from_cam)
            # Every known frame counts as registered: a camera that never moves has a pose in each of them.
            unmoved = self._columns(self.paths(still, target_world_from_cam, paths.known))
            for name, column in columns.items():
                columns[name] = torch.where(failed, unmoved[name], column)
        fraction = paths.num_registered / paths.registered.shape[1]
        self.add_videos(**columns, registered_fraction=fraction, num_failed=failed.double())

    def _columns(self, paths: CameraPaths) -> dict[str, Float[Tensor, " b"]]:
        """Return what depends on the predicted poses, by column."""
        errors = protocol_errors(paths, self.protocol).values()
        columns = dict(zip(self.protocol.keys, errors, strict=False))  # a protocol without CamMC has no key for it
        columns |= published_errors(paths, self.protocol)
        if POSE_ALIGNED in self.errors:
            columns[POSE_ALIGNED] = translation_error(paths, "scale_lsq")
        return columns | {"num_static": paths.static.double()}

    def compute(self) -> dict[str, Shaped[Tensor, ""]]:
        """Return the means over videos and the counts."""
        num_failed = self.total("num_failed")
        hidden = (num_failed > 0) & (self.on_failure == "nan")
        means: dict[str, Tensor] = {}
        for name in self.errors:
            means[name] = torch.where(hidden, torch.nan, self.mean(name))
        means["registered_fraction"] = self.mean("registered_fraction")
        means["num_failed"] = num_failed
        means["num_static"] = self.total("num_static")
        means["num_videos"] = (~self.per_video("num_failed").isnan()).sum()
        return means


class RelativePoseAccuracy(PerVideoMetric):
    """RRA, RTA and AUC: shares in [0, 1] of pairs of frames with a right relative pose, averaged over videos.

    A pair with an unregistered frame is wrong, so that failed videos need no policy: they score 0. Definitions:
    ``functional.relative_pose.relative_pose_accuracy``. ``compute`` returns ``rra_5deg`` and so on, ``rta_5deg`` and
    so on, ``auc_30deg``, ``registered_fraction``, ``num_failed``, ``num_static`` (true
    paths that stand still, which have no RTA and AUC) and ``num_videos``.

    Args:
        thresholds_deg: Of RRA and RTA.
        auc_deg: Where the curve under which the AUC lies ends.
        signed_direction: Tell forwards from backwards. VGGT's evaluation does not.
        convention: What both paths are given in, one of ``CONVENTIONS``.
        orthonormalize: Replace noisy 3x3 parts by their nearest rotations instead of refusing them.
        static_threshold: Scene units within which two true cameras are at one place.

    Raises:
        InputError: For an unknown option, and at ``update`` for shapes that differ and poses that are none.

    Example:
        >>> import torch
        >>> target = torch.eye(4).repeat(1, 3, 1, 1)
        >>> target[..., 0, 3] = torch.tensor([0.0, 1.0, 2.0])
        >>> metric = RelativePoseAccuracy()
        >>> metric.update(target, target, torch.tensor([[True, True, False]]))
        >>> round(float(metric.compute()["rra_5deg"]), 4)
        0.3333
    """

    key = "camera/relative_pose"
    higher_is_better = True
    is_differentiable = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(
        self,
        thresholds_deg: tuple[float | int, ...] = (5, 15, 30),
        auc_deg: int = 30,
        signed_direction: bool = False,
        convention: str = CONVENTIONS[0],
        orthonormalize: bool = False,
        static_threshold: float | int = STATIC,
    ) -> None:
        accuracy = partial(
            relative_pose_accuracy,
            thresholds_deg=tuple(thresholds_deg),
            auc_deg=auc_deg,
            signed_direction=signed_direction,
        )
        paths = _path_reader(convention, orthonormalize, static_threshold)
        # The keys follow from the options; scoring two standing cameras names them.
        still = torch.eye(4).expand(1, 2, 4, 4)
        scores = tuple(accuracy(paths(still, still)))
        super().__init__((*scores, *COUNTED))
        self.accuracy = accuracy
        self.paths = paths
        self.scores = scores

    def update(
        self,
        pred_world_from_cam: Float[Tensor, "b t 4 4"],
        target_world_from_cam: Float[Tensor, "b t 4 4"],
        registered: Bool[Tensor, "b t"] | None = None,
    ) -> None:
        """Add videos: estimated poses, true ones, and which frames the estimator found (None = all)."""
        paths = self.paths(pred_world_from_cam, target_world_from_cam, registered)
        accuracy = self.accuracy(paths)
        # The last score is the AUC, which a truth that stands still has none of.
        static = accuracy[self.scores[-1]].isnan().double()
        fraction = paths.num_registered / paths.registered.shape[1]
        failed = paths.failed.double()
        self.add_videos(**accuracy, registered_fraction=fraction, num_failed=failed, num_static=static)

    def compute(self) -> dict[str, Shaped[Tensor, ""]]:
        """Return the means over videos and the counts."""
        scores = self.means((*self.scores, "registered_fraction"))
        scores["num_failed"] = self.total("num_failed")
        scores["num_static"] = self.total("num_static")
        scores["num_videos"] = (~self.per_video("num_failed").isnan()).sum()
        return scores


def _path_reader(
    convention: str,
    orthonormalize: bool,
    static_threshold: float | int,
) -> Callable[..., CameraPaths]:
    """Return ``camera_paths`` under options that are tried at once: a wrong one stops before hours of sampling."""
    reader = partial(
        camera_paths, convention=convention, orthonormalize=orthonormalize, static_threshold=static_threshold
    )
    still = torch.eye(4).expand(1, 2, 4, 4)
    reader(still, still)
    return reader
