"""How far a clip that was read is from the one that was written."""

import numpy as np


def disagreement(read, written):
    """The largest differences: pixels, relative depth, share of visibility, of the video; None = not in the file."""
    return {
        "tracks_px": tracks_px(read, written),
        "projection_px": projection_px(read, written),
        "depth": depth_error(read, written),
        "visible": None if read.visible is None else float((read.visible != written.visible).double().mean()),
        "video": float((read.video - written.video).abs().max()),
    }


def tracks_px(read, written):
    return None if read.tracks is None else float((read.tracks - written.tracks).abs().max())


def projection_px(read, written):
    """World points seen through the cameras that were read, by hand, against the true tracks."""
    poses, k = read.cameras.cam_from_world.double().numpy(), read.cameras.intrinsics.double().numpy()
    if not (np.isfinite(poses).all() and np.isfinite(k).all()):
        return None
    points = written.points_world.double().numpy()
    worst = 0.0
    for view, frame in np.ndindex(*poses.shape[:2]):
        camera = points[frame] @ poses[view, frame, :3, :3].T + poses[view, frame, :3, 3]
        pixels = camera @ k[view, frame].T
        seen = written.visible[view, frame].numpy()
        error = pixels[:, :2] / pixels[:, 2:] - written.tracks[view, frame].double().numpy()
        worst = max(worst, float(np.abs(error[seen]).max(initial=0)))
    return worst


def depth_error(read, written):
    """Largest relative error where there is depth; infinite where one clip has some and the other none."""
    if read.depth is None:
        return None
    there = written.depth > 0
    if not bool(((read.depth > 0) == there).all()):
        return float("inf")
    return float(((read.depth - written.depth).abs() / written.depth)[there].max())


def assert_agrees(read, written, depth=True, tracks=True, cameras=True):
    found = disagreement(read, written)
    assert read.video.shape == written.video.shape
    assert found["video"] <= 1e-6
    assert (found["projection_px"] is not None) == cameras
    assert not cameras or found["projection_px"] < 1e-3
    assert (found["depth"] is not None) == depth
    assert not depth or found["depth"] < 1e-4
    assert (found["tracks_px"] is not None) == tracks
    assert not tracks or (found["tracks_px"] < 1e-3 and found["visible"] == 0)
