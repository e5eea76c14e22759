"""How far each pose estimator is from known cameras, what it registers, and what it says of noise.

    python -m experiments.benchmarks.poses [--clips 4] [--only pnp|photometric|colmap]

PnP and photometric poses are compared as they are. COLMAP's are made relative to the first registered frame, positions
divided by their own largest norm. Positions are percent of the scene's depth (8 units; COLMAP: of the path's length).
On pictures or tracks of noise every frame must stay unregistered: ``registered`` is then the share of false poses.
"""

import argparse
import dataclasses
import importlib.util
import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from mvt4g.geometry.pose import compose, invert_pose, relative_to, rotation_angle
from mvt4g.metrics.pose_estimators.colmap import ColmapPoses
from mvt4g.metrics.pose_estimators.photometric import PhotometricAlignment
from mvt4g.metrics.pose_estimators.poses import KnownView, PoseEstimate, PoseEstimator, PoseEvidence, TrackDepthPnP
from mvt4g.synthetic.generate import SceneSpec, generate_clip
from mvt4g.synthetic.spec import LookSpec, PointSpec
from mvt4g.types import REFERENCE, TARGET, MultiViewClip
from tests.static_scenes import DEPTH, FINE, moved_pair, preset_clip

Trial = tuple[PoseEvidence, Tensor]
"""What an estimator is given, and the true cam_from_world."""


def errors(estimate: PoseEstimate, cam_from_world: Tensor) -> tuple[Tensor, Tensor]:
    """Return degrees and percent of every registered frame."""
    seen = estimate.registered
    found, true = estimate.world_from_cam[seen], invert_pose(cam_from_world)[seen]
    if not len(found):
        return torch.zeros(0), torch.zeros(0)
    if not estimate.scale_known:
        found, true = (relative_to(path, path[0]) for path in (found, true))
    rotation = rotation_angle(compose(invert_pose(true), found)[:, :3, :3]).rad2deg()
    if estimate.scale_known:
        return rotation, 100 * (found - true)[:, :3, 3].norm(dim=-1) / DEPTH
    shares = [path[:, :3, 3] / path[:, :3, 3].norm(dim=-1).max().clamp(min=1e-9) for path in (found, true)]
    return rotation, 100 * (shares[0] - shares[1]).norm(dim=-1)


def measure(name: str, estimator: PoseEstimator, trials: Iterable[Trial]) -> None:
    """Print a row."""
    rotations, positions, registered, seconds, frames = [], [], 0, 0.0, 0
    for evidence, cam_from_world in trials:
        start = time.perf_counter()
        estimate = estimator(evidence)
        seconds += time.perf_counter() - start
        rotation, position = errors(estimate, cam_from_world)
        rotations.append(rotation)
        positions.append(position)
        registered += int(estimate.registered.sum())
        frames += evidence.num_frames
    figures = [torch.cat(values) for values in (rotations, positions)]
    cells = [f"{float(f.median()):9.3f}{float(f.max()):9.3f}" if len(f) else f"{'-':>9}{'-':>9}" for f in figures]
    print(f"{name:58}{cells[0]}{cells[1]}{registered / frames:11.2f}{seconds / frames:10.3f}", flush=True)


def tracked(clip: MultiViewClip, noise_px: float, outliers: float, lifted: bool = False, seed: int = 0) -> Trial:
    """Return a clip's target tracks with noise, some of them anywhere."""
    assert clip.tracks is not None and clip.visible is not None and clip.depth is not None
    generator = torch.Generator().manual_seed(seed)
    tracks = clip.tracks[TARGET] + noise_px * torch.randn(clip.tracks[TARGET].shape, generator=generator)
    wrong = torch.rand(tracks.shape[:2], generator=generator) < outliers
    anywhere = torch.rand(tracks.shape, generator=generator) * torch.tensor(clip.video.shape[-1])
    known = KnownView(
        clip.cameras[REFERENCE], clip.depth[REFERENCE], tracks=clip.tracks[REFERENCE], visible=clip.visible[REFERENCE]
    )
    evidence = PoseEvidence(
        len(tracks),
        intrinsics=clip.cameras.intrinsics[TARGET],
        tracks=torch.where(wrong[..., None], anywhere, tracks),
        visible=clip.visible[TARGET],
        points_world=None if lifted else clip.points_world,
        known=known,
    )
    return evidence, clip.cameras.cam_from_world[TARGET]


def pnp(num_clips: int) -> None:
    """Measure poses from tracks and depth on clips with moving objects."""
    for size in (64, 256):
        scene = SceneSpec(image_size=(size, size), num_views=2, points=PointSpec(count=200))
        clips = [generate_clip(scene, 0, index) for index in range(num_clips)]
        for noise, outliers in ((0.0, 0.0), (0.5, 0.0), (0.5, 0.2), (0.5, 0.5), (1.0, 0.2)):
            name = f"PnP {size} px, {noise:g} px noise, {outliers:.0%} outliers"
            measure(name, TrackDepthPnP(), [tracked(clip, noise, outliers) for clip in clips])
        lifted = [tracked(clip, 0.5, 0.2, lifted=True) for clip in clips]
        measure(f"PnP {size} px, the same, points lifted from the reference", TrackDepthPnP(), lifted)
        measure(f"PnP {size} px, random tracks", TrackDepthPnP(), [tracked(clip, 0.0, 1.0) for clip in clips])


def moved(size: int, rotation_deg: float, share: float, index: int, looks: LookSpec) -> Trial:
    """Return a frame from a camera that is off from that of the known view."""
    known, generated = moved_pair(size, rotation_deg, share, index, looks)
    assert known.depth is not None
    view = KnownView(known.cameras[0], known.depth[0], known.video[0])
    evidence = PoseEvidence(1, video=generated.video[0], intrinsics=generated.cameras.intrinsics[0], known=view)
    return evidence, generated.cameras.cam_from_world[0]


def across(clip: MultiViewClip) -> Trial:
    """Return the target view known by the reference, 6 to 20 degrees away, searched from the reference's camera."""
    assert clip.depth is not None and clip.dynamic is not None
    view = KnownView(clip.cameras[REFERENCE], clip.depth[REFERENCE], clip.video[REFERENCE], ~clip.dynamic[REFERENCE])
    evidence = PoseEvidence(
        clip.video.shape[1], video=clip.video[TARGET], intrinsics=clip.cameras.intrinsics[TARGET], known=view
    )
    return evidence, clip.cameras.cam_from_world[TARGET]


def respoilt(trial: Trial, change: Callable[[Tensor], Tensor]) -> Trial:
    """Change the generated video."""
    evidence, true = trial
    assert evidence.video is not None
    return dataclasses.replace(evidence, video=change(evidence.video)), true


def photometric(num_clips: int) -> None:
    """Measure alignment on renders from cameras that are off."""
    estimator = PhotometricAlignment()
    generator = torch.Generator().manual_seed(0)
    indices = range(num_clips)
    for looks, named in ((LookSpec(), "training looks"), (FINE, "fine texture")):
        for size in (64, 128, 256):
            for rotation, share in ((1.0, 0.01), (3.0, 0.05), (6.0, 0.1)):
                name = f"photometric {size} px, {named}, off by {rotation:g} deg, {share:.0%}"
                measure(name, estimator, [moved(size, rotation, share, index, looks) for index in indices])
    trials = [moved(128, 3.0, 0.05, index, FINE) for index in indices]
    spoilt: dict[str, Callable[[Tensor], Tensor]] = {
        "and 10 % noise": lambda video: (video + 0.1 * torch.randn(video.shape, generator=generator)).clamp(0, 1),
        "and a ninth black": blacked,
        "and half as bright": lambda video: 0.5 * video,
    }
    for name, change in spoilt.items():
        measure(f"photometric 128 px, 3 deg, 5 % {name}", estimator, [respoilt(trial, change) for trial in trials])
    clips = [generate_clip(SceneSpec(image_size=(128, 128), num_views=2), 0, index) for index in indices]
    measure("photometric 128 px, from the reference view itself", estimator, [across(clip) for clip in clips])
    noise = [respoilt(trial, lambda video: torch.rand(video.shape, generator=generator)) for trial in trials]
    measure("photometric 128 px, pictures of noise", estimator, noise)
    others = [
        (dataclasses.replace(evidence, video=other.video), true)
        for (evidence, true), (other, _) in zip(trials, trials[1:] + trials[:1], strict=True)
    ]
    measure("photometric 128 px, pictures of other scenes", estimator, others)


def blacked(video: Tensor) -> Tensor:
    """Cover a ninth of the picture."""
    video = video.clone()
    video[..., : video.shape[-2] // 3, : video.shape[-1] // 3] = 0.0
    return video


def filmed(preset: str, size: int, num_clips: int, frames: int = 12) -> list[Trial]:
    """Return static scenes seen along a preset path."""
    clips = [preset_clip(preset, size, frames, seed) for seed in range(num_clips)]
    return [
        (PoseEvidence(frames, video=c.video[0], intrinsics=c.cameras.intrinsics[0]), c.cameras.cam_from_world[0])
        for c in clips
    ]


def colmap(num_clips: int) -> None:
    """Measure reconstructions of preset paths."""
    for size in (128, 256):
        trials = filmed("arc_left", size, num_clips)
        measure(f"COLMAP {size} px, arc, all pairs", ColmapPoses(), trials)
        measure(f"COLMAP {size} px, arc, sequential", ColmapPoses("sequential"), trials)
    generator = torch.Generator().manual_seed(0)
    noisy = [respoilt(t, lambda v: (v + 0.05 * torch.randn(v.shape, generator=generator)).clamp(0, 1)) for t in trials]
    measure("COLMAP 256 px, arc and 5 % noise", ColmapPoses(), noisy)
    for preset in ("pan_right", "zoom_in"):
        measure(f"COLMAP 256 px, {preset}", ColmapPoses(), filmed(preset, 256, num_clips))
    noise = [respoilt(trial, lambda video: torch.rand(video.shape, generator=generator)) for trial in trials]
    measure("COLMAP 256 px, pictures of noise", ColmapPoses(), noise)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--only", choices=("pnp", "photometric", "colmap"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'':58}{'rotation, deg':>18}{'position, %':>18}{'registered':>11}{'s a frame':>10}")
    print(f"{'':58}{'median':>9}{'most':>9}{'median':>9}{'most':>9}")
    benchmarks = {"pnp": pnp, "photometric": photometric, "colmap": colmap}
    for name, benchmark in benchmarks.items():
        if arguments.only in (None, name):
            if name == "colmap" and importlib.util.find_spec("pycolmap") is None:
                print("COLMAP: pycolmap is not installed")
                continue
            benchmark(arguments.clips)


if __name__ == "__main__":
    main()
