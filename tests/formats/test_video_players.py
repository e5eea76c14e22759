"""Colour bars through our writers as other programs show them: FFmpeg's own and a headless browser."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mvt4g.formats.video import read_video, write_archive_video, write_video
from tests.formats.test_video_colour import BARS, bars

SIZES = [(96, 192), (480, 832), (720, 1280)]
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
PAGE = """<body><video muted autoplay loop playsinline src="data:{kind};base64,{data}"></video>
<pre id="out"></pre><script>
const video = document.querySelector('video');
video.requestVideoFrameCallback(() => {{
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  const context = canvas.getContext('2d', {{willReadFrequently: true}});
  context.drawImage(video, 0, 0);
  const row = context.getImageData(0, canvas.height >> 1, canvas.width, 1).data;
  document.getElementById('out').textContent = JSON.stringify(Array.from(row));
}});
</script></body>"""


def write_bars(folder: Path, size: tuple[int, int]) -> list[Path]:
    write_video(folder / "a.mp4", bars(size), 12)
    write_archive_video(folder / "b.mkv", bars(size), 12, "visually_lossless")
    return [folder / "a.mp4", folder / "b.mkv"]


def columns(width: int) -> list[int]:
    return [round((bar + 0.5) * width / len(BARS)) for bar in range(len(BARS))]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg")
@pytest.mark.parametrize("size", SIZES)
def test_ffmpeg_shows_the_bars_that_went_in(tmp_path: Path, size: tuple[int, int]) -> None:
    for path in write_bars(tmp_path, size):
        command = ["ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
        raw = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        shown = np.frombuffer(raw, np.uint8).reshape(*size, 3)[size[0] // 2, columns(size[1])]
        assert np.abs(shown.astype(int) - BARS).max() <= 4


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs a browser: Debian's package chromium")
@pytest.mark.parametrize("size", SIZES)
def test_a_browser_shows_the_bars_that_went_in_and_that_we_read(tmp_path: Path, size: tuple[int, int]) -> None:
    for path in write_bars(tmp_path, size):
        shown = browser_row(path, tmp_path)[columns(size[1])]
        read = read_video(path)[0][0, :, size[0] // 2, columns(size[1])].T.numpy() * 255
        assert np.abs(shown - BARS).max() <= 4
        assert np.abs(shown - read).max() <= 4


def browser_row(path: Path, folder: Path) -> np.ndarray:
    """Return the middle row of the first frame that the browser draws, (w 3)."""
    kind = "video/mp4" if path.suffix == ".mp4" else "video/x-matroska"
    page = folder / "page.html"
    page.write_text(PAGE.format(kind=kind, data=base64.b64encode(path.read_bytes()).decode()))
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--force-color-profile=srgb", "--dump-dom"]
    options += ["--virtual-time-budget=20000", "--autoplay-policy=no-user-gesture-required"]
    command = [str(BROWSER), *options, f"--user-data-dir={folder / 'profile'}", page.as_uri()]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=300).stdout
    row = re.search(rb'<pre id="out">(\[.*?\])</pre>', printed)
    assert row is not None, "the browser drew no frame"
    return np.array(json.loads(row[1]), int).reshape(-1, 4)[:, :3]
