"""How long rendering a video's pixels from another camera takes, beside Open3D's own, and how much memory.

    python -m experiments.benchmarks.splat [--frames 81] [--threads 1] [--quick]

Every frame is a noisy slope of 480x832 with a step, the target camera has moved and turned. Times are CPU milliseconds
a frame, the median over the frames, ways taking turns. Open3D's ``project_to_rgbd_image`` gets its point cloud ready
made; the time to make it from the image is a row of its own. ``--quick`` leaves out the slow ways, the soft blend and
the mesh. Memory is the peak of one call of ``render_lifted`` for a whole video, beside the video that it returns.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import open3d as o3d
import torch
from torch import Tensor

from experiments.measure import peak_bytes
from mvt4g.geometry.lifted_video import render_lifted
from mvt4g.geometry.pose import pose_from, rotation_from_axis_angle
from mvt4g.geometry.rendering import render_mesh, render_points
from mvt4g.types import Cameras

HEIGHT, WIDTH = 480, 832
K = torch.tensor([[720.0, 0.0, 416.0], [0.0, 720.0, 240.0], [0.0, 0.0, 1.0]])
SOURCE = Cameras(torch.eye(4), K)
TARGET = Cameras(
    pose_from(rotation_from_axis_angle(torch.tensor([0.02, -0.1, 0.01])), torch.tensor([0.3, 0.0, 0.1])), K
)


def frame(number: int) -> tuple[Tensor, Tensor]:
    """Return an image (3 h w) and its depth (h w)."""
    generator = torch.Generator().manual_seed(number)
    slope = torch.linspace(3, 6, WIDTH).expand(HEIGHT, WIDTH).clone()
    slope[:, 300:420] = 2.0
    noise = 0.002 * torch.randn(HEIGHT, WIDTH, generator=generator)
    return torch.rand(3, HEIGHT, WIDTH, generator=generator), slope + noise


def open3d_cloud(image: Tensor, depth: Tensor) -> o3d.t.geometry.PointCloud:
    """Return Open3D's point cloud of an image with depth; its pixel centres lie at whole numbers."""
    shifted = K.double().numpy() - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    picture = o3d.t.geometry.Image(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
    rgbd = o3d.t.geometry.RGBDImage(picture, o3d.t.geometry.Image(depth.numpy()[..., None].copy()))
    return o3d.t.geometry.PointCloud.create_from_rgbd_image(
        rgbd, o3d.core.Tensor(shifted), o3d.core.Tensor(np.eye(4)), depth_scale=1.0, depth_max=1000.0
    )


def open3d_render(cloud: o3d.t.geometry.PointCloud) -> None:
    """Render a cloud by Open3D's own projection."""
    shifted = K.double().numpy() - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    cloud.project_to_rgbd_image(
        WIDTH, HEIGHT, o3d.core.Tensor(shifted), o3d.core.Tensor(TARGET.cam_from_world.double().numpy()), 1.0, 1000.0
    )


def milliseconds(work: Callable[[], object]) -> float:
    """Return the CPU time of one call."""
    start = time.process_time()
    work()
    return 1e3 * (time.process_time() - start)


def peak_beside_result_mb(count: int) -> float:
    """Return the peak memory of rendering a video of so many frames, without that of the rendering."""
    image, depth = frame(0)
    video = image.expand(count, *image.shape)
    maps = depth.expand(count, *depth.shape)
    lenses = K.expand(count, 3, 3)
    source = Cameras(SOURCE.cam_from_world.expand(count, 4, 4), lenses)
    target = Cameras(TARGET.cam_from_world.expand(count, 4, 4), lenses)
    result_bytes = 0

    def render() -> None:
        nonlocal result_bytes
        seen = render_lifted(video, maps, source, target)
        result_bytes = seen.image.nbytes + seen.mask.nbytes + seen.depth.nbytes

    return (peak_bytes(render) - result_bytes) / 2**20


def main() -> None:
    """Time every way over the same frames, one after the other, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=81)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    size = (HEIGHT, WIDTH)
    clouds: list[o3d.t.geometry.PointCloud] = []
    ways: dict[str, Callable[[Tensor, Tensor], object]] = {
        "points, hard": lambda i, d: render_points(i, d, SOURCE, TARGET, size, edge_filter=False),
        "points, hard, edge filter": lambda i, d: render_points(i, d, SOURCE, TARGET, size),
        "points, soft": lambda i, d: render_points(i, d, SOURCE, TARGET, size, blend="soft"),
        "mesh, angle rule": lambda i, d: render_mesh(i, d, SOURCE, TARGET, size),
        "Open3D, cloud from the image": lambda i, d: clouds.append(open3d_cloud(i, d)),
        "Open3D, project_to_rgbd_image": lambda _, __: open3d_render(clouds.pop()),
    }
    if args.quick:
        for slow in ("points, soft", "mesh, angle rule"):
            del ways[slow]
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(args.frames + 1):
        image, depth = frame(number)
        for name, way in ways.items():
            spent = milliseconds(partial(way, image, depth))
            if number:  # the first frame warms up
                times[name].append(spent)
    print(f"{args.frames} frames of {HEIGHT}x{WIDTH}, {args.threads} threads\n\n| way | CPU ms a frame |\n|---|---:|")
    for name, values in times.items():
        print(f"| {name} | {statistics.median(values):.1f} |")
    # The most that one call takes at once; the first call fills what the allocator keeps.
    few, many = [peak_beside_result_mb(count) for count in (9, 9, args.frames)][1:]
    print(f"\npeak memory beside the result: {few:.0f} MiB for 9 frames, {many:.0f} MiB for {args.frames}")


if __name__ == "__main__":
    main()
