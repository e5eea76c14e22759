"""Lays out a true video as each of eight programs would have written it: names, sizes, frames, what lies beside it.

Pictures are resized by Pillow and cut by slices, apart from the code under test. ``shrink`` divides every size, half
of it every length, so that the fast tests need no large videos; the slow ones take 1.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mvt4g.formats.video import write_video

Frames = Sequence[np.ndarray]


def resized(frames: Frames, width: int, height: int) -> list[np.ndarray]:
    return [np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR)) for frame in frames]


def middle(frames: Frames, width: int, height: int) -> list[np.ndarray]:
    top, left = (frames[0].shape[0] - height) // 2, (frames[0].shape[1] - width) // 2
    return [frame[top : top + height, left : left + width] for frame in frames]


def covered(frames: Frames, width: int, height: int, whole: Callable[[float], int]) -> list[np.ndarray]:
    rows, columns = frames[0].shape[:2]
    scale = max(width / columns, height / rows)
    return middle(resized(frames, whole(columns * scale), whole(rows * scale)), width, height)


def save(path: Path, frames: Frames, fps: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    video = torch.from_numpy(np.stack(frames)).movedim(-1, 1).float() / 255
    write_video(path, video, fps, crf=8)


def wrong(like: Frames) -> list[np.ndarray]:
    """Return pictures that are no part of a video: whoever scores them sees it."""
    return [255 - frame for frame in like]


def length(count: int, shrink: int) -> int:
    """Return a number of frames 4k + 1 for one at full size."""
    return (count - 1) // max(shrink // 2, 1) + 1


def gen3c(root: Path, clip: str, frames: Frames, shrink: int) -> None:
    """121 frames, the last one repeated; 1280x720, of which 704 rows are kept; a warp pasted to the left."""
    padded = [frames[min(number, len(frames) - 1)] for number in range(length(121, shrink))]
    shown = middle(resized(padded, 1280 // shrink, 720 // shrink), 1280 // shrink, 704 // shrink)
    pasted = [np.concatenate(pair, axis=1) for pair in zip(wrong(shown), shown, strict=True)]
    save(root / "outputs" / f"{clip}_cam01.mp4", pasted, 24)


def trajectorycrafter(root: Path, clip: str, frames: Frames, shrink: int) -> None:
    """The first 49 frames, squeezed; a folder a run, which does not say the camera: an index does."""
    run = root / "experiments" / f"20250801_1203_{clip}"
    shown = resized(frames[: length(49, shrink)], 672 // shrink, 384 // shrink)
    save(run / "gen.mp4", shown, 10)
    for name in ("input", "render", "mask", "viz"):
        save(run / f"{name}.mp4", wrong(shown[:3]), 10)
    rows = f"file,clip,camera\nexperiments/20250801_1203_{clip}/gen.mp4,{clip},cam01\n"
    (root / "index.csv").write_text(rows)


def cognvs(root: Path, clip: str, frames: Frames, shrink: int) -> None:
    """The first 49 frames through 720x480 and back to the source's size."""
    rows, columns = frames[0].shape[:2]
    shown = resized(resized(frames[: length(49, shrink)], 720 // shrink, 480 // shrink), columns, rows)
    save(root / clip / "outputs" / "eval_render1_out.mp4", shown, 10)
    save(root / clip / "gt_rgb.mp4", wrong(shown[:3]), 24)
    save(root / clip / "eval_render1.mp4", wrong(shown[:3]), 30)


def neoverse(root: Path, clip: str, frames: Frames, shrink: int) -> None:
    """81 frames spread over the whole source."""
    spread = [frames[number] for number in np.linspace(0, len(frames) - 1, length(81, shrink), dtype=int)]
    shown = covered(spread, 560 // shrink, 336 // shrink, int)
    save(root / "outputs" / f"{clip}_cam01.mp4", shown, 16)
    save(root / "outputs" / f"{clip}_cam01" / "target_rgb.mp4", wrong(shown[:3]), 15)


def recammaster(root: Path, clip: str, frames: Frames, shrink: int) -> None:
    """The first 81 frames; a folder a camera, a row of the data set's table a video."""
    shown = covered(frames[: length(81, shrink)], 832 // shrink, 480 // shrink, round)
    save(root / "results" / "cam_type1" / "video1.mp4", shown, 30)
    (root / "metadata.csv").write_text(f"file_name,text\nother.mp4,nothing\n{clip}.mp4,a pattern\n")


def redirector(root: Path, clip: str, frames: Frames, shrink: int) -> None:
    """The largest number of frames 4k + 1 that the source has; what ViPE saw lies beside the results."""
    kept = frames[: (len(frames) - 1) // 4 * 4 + 1]
    shown = covered(kept, 832 // shrink, 480 // shrink, round)
    save(root / "results" / f"{clip}_camera_1_speed_1.0.mp4", shown, 24)
    save(root / "input.mp4", wrong(shown[:3]), 24)


def flashrender(root: Path, clip: str, frames: Frames, shrink: int) -> None:
    """As ReDirector, at most 81; a folder a clip, the checkpoint in the name."""
    shown = covered(frames[: length(81, shrink)], 832 // shrink, 480 // shrink, round)
    save(root / "results" / clip / "meanflow_epoch3_4NFE_cam1.mp4", shown, 24)
    save(root / "results" / clip / "input.mp4", wrong(shown[:3]), 24)
    save(root / "results" / clip / "input" / "rgb" / "input.mp4", wrong(shown[:3]), 24)


def vista4d(root: Path, clip: str, frames: Frames, shrink: int) -> None:
    """49 frames from the middle, cut to the output's shape before they are resized; names are a table's."""
    width, height = 672 // shrink, 384 // shrink
    rows, columns = frames[0].shape[:2]
    count = length(49, shrink)
    first = (len(frames) - count) // 2
    cut = middle(frames[first : first + count], min(columns, int(rows * width / height)), rows)
    folder = root / "results" / "eval" / "vista4d_384p" / f"{clip}_pan"
    save(folder / "video_seed=7.mp4", resized(cut, width, height), 24)
    save(folder / "source.mp4", wrong(cut[:3]), 24)
    (root / "metadata.csv").write_text(f"name,video,camera,seed\n{clip}_pan,{clip},cam01,7\n")


WRITERS: dict[str, Callable[[Path, str, Frames, int], None]] = {
    writer.__name__: writer
    for writer in (gen3c, trajectorycrafter, cognvs, neoverse, recammaster, redirector, flashrender, vista4d)
}
FRAMES_SCORED = {
    "gen3c": 82, "trajectorycrafter": 49, "cognvs": 49, "neoverse": 81, "recammaster": 81, "redirector": 81,
    "flashrender:meanflow_epoch3_4NFE": 81, "vista4d:vista4d_384p": 49,
}  # fmt: skip
"""Of a source of 82 frames, by the method's name."""


def frames_scored(name: str, shrink: int) -> int:
    """Return the frames scored of a source that is one frame longer than 81."""
    return length(81, shrink) + 1 if name == "gen3c" else length(FRAMES_SCORED[name], shrink)


def moving_waves(count: int, height: int, width: int) -> list[np.ndarray]:
    """Return pictures in which a frame or a column too far is seen at once."""
    rows, columns = np.mgrid[:height, :width] / max(height, width)
    pictures = []
    for number in range(count):
        waves = [np.sin(20 * columns + 9 * rows + 0.5 * number + 2 * colour) for colour in range(3)]
        pictures.append(np.uint8(127.5 + 100 * np.stack(waves, axis=-1)))
    return pictures


def write_truth(sources: Path, clip: str, reference: Frames, target: Frames) -> None:
    """Write a clip folder with the source and what a video from camera cam01 should be."""
    save(sources / clip / "reference.mp4", reference, 24)
    save(sources / clip / "cam01" / "target.mp4", target, 24)
