"""A clip as a scene of MultiCamVideo: Unreal's matrices (x forward, y right, z up, left-handed, row vectors, cm)."""

import json

import numpy as np

from mvt4g.formats.video import write_video

OPENCV_IN_UNREAL = np.array([[0.0, 1, 0], [0, 0, -1], [1, 0, 0]])
"""Rows: right, down and forward in Unreal's x forward, y right, z up."""


def unreal_rows(world_from_cam, centimetres=100.0):
    """The text of one matrix. The world is mirrored in y: right-handed ours, left-handed Unreal's."""
    mirror = np.diag([1.0, -1.0, 1.0])
    rotation = mirror @ world_from_cam[:3, :3] @ OPENCV_IN_UNREAL
    rows = np.zeros((4, 4))
    rows[:3, :3], rows[3, :3], rows[3, 3] = rotation.T, mirror @ world_from_cam[:3, 3] * centimetres, 1.0
    return "".join("[" + " ".join(repr(float(number)) for number in row) + "] " for row in rows)


def write_multicamvideo(scene, clip, centimetres=100.0):
    (scene / "videos").mkdir(parents=True)
    (scene / "cameras").mkdir()
    poses = np.linalg.inv(clip.cameras.cam_from_world.double().numpy())
    content = {
        f"frame{frame}": {
            f"cam{view + 1:02d}": unreal_rows(poses[view, frame], centimetres) for view in range(len(poses))
        }
        for frame in range(poses.shape[1])
    }
    (scene / "cameras" / "camera_extrinsics.json").write_text(json.dumps(content, indent=4))
    for view, video in enumerate(clip.video):
        write_video(scene / "videos" / f"cam{view + 1:02d}.mp4", video, 15, crf=0)
