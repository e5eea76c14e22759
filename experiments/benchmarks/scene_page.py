"""How large a scene page is, how soon it opens and how fast it draws without a GPU.

    python -m experiments.benchmarks.scene_page [--scene scene4d.npz] [--frames 81] [--niceness -5] [--seconds 8]

Without ``--scene`` it renders a clip of the recipe ``recam`` at 504x288 first, which takes some minutes. The browser is
the system's Chromium, headless, with WebGL computed by the processor (SwiftShader), in a window of 960x540. "Opens" is
from the start of navigation to the first picture of cloud and videos. Drawings a second are counted while the eye
swings, and while the video plays at twice its speed, so that the clip's own rate is no limit. CPU is that of the
process that draws. Other processes take their share: the load is printed.
"""

import argparse
import os
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from playwright.sync_api import Page

from mvt4g.formats.scene4d import UNKNOWN, Scene4D, SceneTracks, SceneView, read_scene4d
from mvt4g.synthetic.generate import generate_clip
from mvt4g.synthetic.recipes import recam
from mvt4g.types import REFERENCE, TARGET, MultiViewClip
from mvt4g.viz.scene_page import write_scene_page
from tests.viz.scene_page.browser import BROWSER, NO_BROWSER, OpenPage, chromium

WINDOW = (960, 540)


def rendered_scene(num_frames: int) -> Scene4D:
    """Return a scene of true depth and tracks."""
    recipe = recam()
    points = replace(recipe.points, count=256)
    clip = generate_clip(
        replace(recipe, num_frames=num_frames, image_size=(288, 504), num_views=2, points=points), 0, 0
    )
    assert clip.tracks is not None
    assert clip.visible is not None
    assert clip.points_world is not None
    world = clip.points_world.expand(2, -1, -1, -1)
    return Scene4D(
        scene_view(clip, REFERENCE),
        scene_view(clip, TARGET),
        times_s=torch.arange(num_frames) / 15,
        alignment=torch.tensor([[1.0, 0.0], [1.0, 0.0]]),
        alignment_residual=torch.full((2,), torch.nan),
        unit=UNKNOWN,
        tracks=SceneTracks(clip.tracks, world, clip.visible, clip.visible),
    )


def scene_view(clip: MultiViewClip, view: int) -> SceneView:
    """Return a view of a generated clip, its colours in bytes."""
    assert clip.depth is not None
    colours = (255 * clip.video[view]).round().to(torch.uint8).permute(0, 2, 3, 1)
    return SceneView(colours, clip.depth[view], clip.cameras[view])


def browser_processes() -> dict[int, str]:
    """Return number and command of every process that descends from this one and belongs to the browser."""
    command = ["ps", "-eo", "pid=,ppid=,args="]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    parents: dict[int, int] = {}
    commands: dict[int, str] = {}
    for line in lines:
        process, parent, arguments = line.split(None, 2)
        parents[int(process)] = int(parent)
        commands[int(process)] = arguments
    found = {}
    for number, arguments in commands.items():
        ancestor = number
        while ancestor in parents and ancestor != os.getpid():
            ancestor = parents[ancestor]
        if ancestor == os.getpid() and "chromium" in arguments:
            found[number] = arguments
    return found


def renice(niceness: int) -> None:
    """Give the browser a niceness, thread by thread as Linux has it; below 0 wants root."""
    threads = []
    for number in browser_processes():
        threads += [folder.name for folder in Path(f"/proc/{number}/task").glob("*")]
    subprocess.run(["renice", "-n", str(niceness), "-p", *threads], check=False, capture_output=True)


def drawing_seconds() -> float:
    """Return the CPU seconds that the browser's GPU process has taken."""
    total = 0.0
    for number, arguments in browser_processes().items():
        if "--type=gpu-process" in arguments:
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def measure(page: Page, what: str, seconds: float) -> None:
    """Print drawings a second over a while, after two seconds in which the page finds its level of detail."""
    time.sleep(2)
    cpu = drawing_seconds()
    read = "[performance.now(), mvt4g.stage.numDrawn]"
    start, drawn = page.evaluate(read)
    time.sleep(seconds)
    end, drawn_then = page.evaluate(read)
    cpu = drawing_seconds() - cpu
    number = drawn_then - drawn
    level = page.evaluate("mvt4g.stage.detail.level")
    rate, each = 1000 * number / (end - start), 1000 * cpu / max(1, number)
    load = os.getloadavg()[0]
    print(f"{what}: {rate:.1f} drawings a second, {each:.0f} ms of CPU each, level {level}, load {load:.1f}")


def main() -> None:
    """Write the page, open it and print what was measured."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--scene", type=Path)
    options.add_argument("--frames", type=int, default=81)
    options.add_argument("--niceness", type=int, default=-5)
    options.add_argument("--seconds", type=float, default=8)
    given = options.parse_args()
    if BROWSER is None:
        raise SystemExit(NO_BROWSER)
    scene = read_scene4d(given.scene) if given.scene else rendered_scene(given.frames)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.perf_counter()
        written = write_scene_page(scene, folder / "scene.html", "Benchmark")
        print(f"{written}, written in {time.perf_counter() - start:.0f} s, {written.fineness}")
        with chromium() as browser:
            renice(given.niceness)
            opened = OpenPage(browser, written.path, size=WINDOW)
            first = opened.run("mvt4g.timing.firstPicture")
            print(f"opens in {first / 1000:.2f} s, load {os.getloadavg()[0]:.1f}")
            opened.wait("mvt4g.frames.numReady === mvt4g.scene.frames")
            renice(given.niceness)  # the tab's own process was not there before
            print(f"all frames decoded {opened.run('performance.now()') / 1000:.1f} s after the start")
            opened.run("mvt4g.settings.set('sway', true)")
            measure(opened.page, "eye swings", given.seconds)
            opened.run("mvt4g.settings.set('sway', false); mvt4g.player.speed = 2; mvt4g.player.toggle()")
            measure(opened.page, "plays", given.seconds)
            print(f"complaints of the browser: {opened.complaints or 'none'}")


if __name__ == "__main__":
    main()
