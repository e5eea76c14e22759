"""Kubric's files from a clip, in plain NumPy: cameras as Blender has them, distances, palettes, boxes.

Written from section B of the notes on formats, with formulas other than the readers' own.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

GL = np.diag([1.0, -1.0, -1.0])
SENSOR_WIDTH = 36.0
NO_HIT = 1e10


def matrix_world(cam_from_world):
    """Camera to world with y up and -z forward."""
    flip = np.eye(4)
    flip[:3, :3] = GL
    return np.linalg.inv(cam_from_world.astype(np.float64)) @ flip


def quaternion_wxyz(rotation):
    """Bar-Itzhack: the eigenvector of the largest eigenvalue of a symmetric 4x4."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    table = np.array([
        [xx - yy - zz, xy + yx, xz + zx, zy - yz],
        [xy + yx, yy - xx - zz, yz + zy, xz - zx],
        [xz + zx, yz + zy, zz - xx - yy, yx - xy],
        [zy - yz, xz - zx, yx - xy, xx + yy + zz],
    ])  # fmt: skip
    x, y, z, w = np.linalg.eigh(table)[1][:, -1]
    return np.array([w, x, y, z])


def camera_part(cam_from_world, intrinsics, size, order="wxyz", with_k=True):
    """The "camera" of metadata.json for poses (t 4 4) and one K (3 3)."""
    height, width = size
    worlds = [matrix_world(pose) for pose in cam_from_world]
    quaternions = np.array([quaternion_wxyz(world[:3, :3]) for world in worlds])
    focal = float(intrinsics[0, 0]) / width * SENSOR_WIDTH
    part = {
        "focal_length": focal,
        "sensor_width": SENSOR_WIDTH,
        "field_of_view": float(2 * np.arctan(SENSOR_WIDTH / 2 / focal)),
        "positions": np.array([world[:3, 3] for world in worlds]).tolist(),
        "quaternions": (quaternions if order == "wxyz" else np.roll(quaternions, -1, axis=1)).tolist(),
        "R": worlds[-1].tolist(),
    }
    if with_k:
        part["K"] = [[focal / SENSOR_WIDTH, 0, -0.5], [0, -focal / (SENSOR_WIDTH / width * height), -0.5], [0, 0, -1]]
    return part


def distances(depth, intrinsics):
    """Distance to the camera centre of what every pixel centre sees."""
    height, width = depth.shape
    inverse = np.linalg.inv(intrinsics.astype(np.float64))
    result = np.full((height, width), NO_HIT, dtype=np.float32)
    for row in range(height):
        for column in range(width):
            if depth[row, column] > 0:
                ray = inverse @ np.array([column + 0.5, row + 0.5, 1.0])
                result[row, column] = np.linalg.norm(ray * float(depth[row, column]))
    return result


def boxes(clip, instance):
    """Corners (t 8 3) of the box of an instance's points in frame 0, carried by the best rigid motion (Kabsch)."""
    points = clip.points_world.numpy().astype(np.float64)[:, (clip.point_instance == instance).numpy()]
    if points.shape[1] == 0:
        return np.zeros((len(points), 8, 3))
    low, high = points[0].min(0), points[0].max(0)
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    centre = points[0].mean(0)
    moved = []
    for now in points:
        u, _, vt = np.linalg.svd((points[0] - centre).T @ (now - now.mean(0)))
        turn = vt.T @ np.diag([1, 1, np.linalg.det(vt.T @ u.T)]) @ u.T
        moved.append((corners - centre) @ turn.T + now.mean(0))
    return np.array(moved)


def metadata(clip, view, instances, general="metadata", **camera_options):
    size = tuple(clip.video.shape[-2:])
    poses, k = clip.cameras.cam_from_world[view].numpy(), clip.cameras.intrinsics[view, 0].numpy()
    return {
        "flags": {},
        general: {"resolution": [size[1], size[0]], "frame_rate": int(clip.fps), "num_frames": len(poses)},
        "camera": camera_part(poses, k, size, **camera_options),
        "instances": [
            {"asset_id": f"a{i}", "bboxes_3d": boxes(clip, i).tolist(), "is_dynamic": True} for i in instances
        ],
    }


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_pictures(folder, clip, view, ids=None, depth_as="distance"):
    """rgba, depth and segmentation of one view; ``ids`` maps the clip's instances to those of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in range(clip.video.shape[1]):
        colour = np.round(clip.video[view, frame].numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
        alpha = np.full((*colour.shape[:2], 1), 255, np.uint8)
        Image.fromarray(np.concatenate([colour, alpha], axis=2)).save(folder / f"rgba_{frame:05d}.png")
        z = clip.depth[view, frame].numpy()
        values = distances(z, clip.cameras.intrinsics[view, frame].numpy()) if depth_as == "distance" else z
        Image.fromarray(values).save(folder / f"depth_{frame:05d}.tiff")
        seen = clip.instances[view, frame].numpy()
        mapped = seen if ids is None else np.vectorize(lambda instance: ids.get(int(instance), 0))(seen)
        palette = Image.fromarray(mapped.astype(np.uint8)).convert("P")
        palette.putpalette([value for index in range(256) for value in (index, 7 * index % 256, 13 * index % 256)])
        palette.save(folder / f"segmentation_{frame:05d}.png")


def by_visibility(clip, view):
    """Instances that a view sees, those with most pixels first: the order of Kubric's workers."""
    ids, counts = np.unique(clip.instances[view].numpy(), return_counts=True)
    order = sorted(
        (-count, instance) for instance, count in zip(ids.tolist(), counts.tolist(), strict=True) if instance
    )
    return [instance for _, instance in order]


def spoil_json(path: Path, *keys, value):
    """Set one entry of a JSON file, or drop it where ``value`` is Ellipsis."""
    content = json.loads(path.read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    if value is ...:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    path.write_text(json.dumps(content))
