"""The page in a browser, opened from disk: what is seen is what was set, and nothing is asked of a network."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mvt4g.viz.scene_page import write_scene_page
from tests.viz.scene_page.browser import BROWSER, NO_BROWSER, NUMBERS, OpenPage, chromium
from tests.viz.scene_page.made_scenes import box_scene
from tests.viz.scene_page.test_page import odd_scenes

pytestmark = pytest.mark.skipif(BROWSER is None, reason=NO_BROWSER)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    return write_scene_page(box_scene(frames=24, size=(96, 128)), folder / "scene.html", "A box").path


@pytest.fixture(scope="module")
def shared(browser, file) -> Iterator[OpenPage]:
    """One tab for tests that leave it as they found it."""
    page = OpenPage(browser, file, "#edges=0.3")
    page.wait("mvt4g.frames.numReady === 24")
    yield page
    assert page.complaints == []
    assert page.requests == [file.as_uri()]
    page.close()


def differs(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> set[str]:
    """Return the regions in which over 0.02 % of pixels differ by more than a shade."""
    found = set()
    for name, picture in one.items():
        changed = np.abs(picture.astype(int) - other[name]).max(axis=-1) > 8
        if changed.mean() > 0.0002:
            found.add(name)
    return found


def test_opens_plays_in_step_and_switches_the_generated_cloud(tmp_path, browser):
    """The smoke test of the fast suite."""
    path = write_scene_page(box_scene(frames=6), tmp_path / "scene.html").path
    page = OpenPage(browser, path, size=(480, 320))
    page.run("mvt4g.player.toggle()")
    page.wait("mvt4g.player.frame >= 2")
    page.run("mvt4g.player.toggle()")
    page.rest()
    shown = page.run("[mvt4g.stage.frame, ...mvt4g.videos.shown]")
    assert [*page.run(NUMBERS)] == shown[1:] == [shown[0]] * 2
    before = page.picture("main")
    page.page.keyboard.press("2")
    without = page.picture("main")
    page.page.keyboard.press("2")
    again = page.picture("main")
    assert (before != without).any(axis=-1).mean() > 0.02
    assert np.array_equal(before, again)
    assert page.complaints == []
    assert page.requests == [path.as_uri()]
    page.close()


@pytest.mark.slow
def test_while_it_plays_cloud_and_videos_show_the_same_frame(shared):
    shared.run("mvt4g.player.speed = 0.5; mvt4g.player.toggle()")
    seen: set[int] = set()
    for _ in range(3000):
        *numbers, cloud, clock = shared.run(f"[...{NUMBERS}, mvt4g.stage.frame, mvt4g.player.frame]")
        assert numbers[0] == numbers[1], "both videos show one frame"
        assert min((numbers[0] - cloud) % 24, (cloud - numbers[0]) % 24) <= 1
        assert min((clock - cloud) % 24, (cloud - clock) % 24) <= 1
        seen.add(numbers[0])
        if len(seen) >= 8:
            break
    shared.run("mvt4g.player.toggle(); mvt4g.player.speed = 1; mvt4g.player.seek(0)")
    assert len(seen) >= 8, "it plays"


SWITCHES = {
    "reference": {"stage"},
    "generated": {"stage"},
    "frusta": {"stage"},
    "paths": {"stage"},
    "trueCameras": {"stage"},
    "images": {"stage"},
    "tracks": {"stage"},
    "pairs": {"stage"},
    "videoTracks": {"videos"},
    "hidden": {"stage", "videos"},
    "trueTracks": {"stage", "videos"},
}
"""Each switch of the panel, and the regions it changes."""


@pytest.mark.slow
@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_changes_its_region_and_back_gives_the_first_picture(shared, name):
    shared.run("mvt4g.player.seek(12)")
    before = shared.regions()
    shared.run(f"document.getElementById('switch-{name}').click()")
    after = shared.regions()
    shared.run(f"document.getElementById('switch-{name}').click()")
    again = shared.regions()
    assert differs(before, after) == SWITCHES[name]
    for region, picture in before.items():
        assert np.array_equal(picture, again[region]), region


CHOICES = {
    "colour-view": "colour-true",
    "colour-depth": "colour-true",
    "style-points": "style-surface",
    "camera-reference": "camera-free",
    "camera-generated": "camera-free",
    "detail-4": "detail-auto",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_changes_the_cloud_and_back_gives_the_first_picture(shared, name):
    shared.run("mvt4g.player.seek(12)")
    before = shared.picture("main")
    shared.run(f"document.getElementById('{name}').click()")
    after = shared.picture("main")
    shared.run(f"document.getElementById('{CHOICES[name]}').click()")
    assert np.array_equal(before, shared.picture("main"))
    assert (before != after).any(axis=-1).mean() > (0 if name.startswith("detail") else 0.01)


SLIDERS = {"size": (2.5, 1), "edges": (0, 0.3), "confidence": (0.5, 0), "trail": (0, 12)}
"""Each slider, a value that changes the picture, and the first one."""


@pytest.mark.slow
@pytest.mark.parametrize("name", SLIDERS)
def test_a_slider_changes_the_cloud_and_back_gives_the_first_picture(shared, name):
    shared.run("mvt4g.player.seek(12); mvt4g.settings.set('style', 'points')")
    before = shared.picture("main")
    pictures = []
    for value in SLIDERS[name]:
        shared.run(f"""(() => {{
            const slider = document.getElementById("slider-{name}");
            slider.value = {value};
            slider.dispatchEvent(new Event("input"));
        }})()""")
        pictures.append(shared.picture("main"))
    shared.run("mvt4g.settings.set('style', 'surface')")
    assert (before != pictures[0]).any(axis=-1).mean() > 0.0005
    assert np.array_equal(before, pictures[1])


@pytest.mark.slow
def test_through_the_reference_s_camera_the_cloud_is_its_video(shared):
    shared.run("mvt4g.player.seek(0)")
    for name in ("camera", "generated", "tracks", "paths", "frusta", "edges"):
        value = {"camera": "'reference'", "edges": "0"}.get(name, "false")
        shared.run(f"mvt4g.settings.set('{name}', {value})")
    shared.rest()
    left, top, width, height = shared.run(
        "mvt4g.stage.eye.pictureRect(mvt4g.stage.canvas.clientWidth, mvt4g.stage.canvas.clientHeight)"
    )
    shown = shared.picture("main")[round(top) + 3 : round(top + height) - 3, round(left) + 3 : round(left + width) - 3]
    for name in ("generated", "tracks", "paths", "frusta"):
        shared.run(f"mvt4g.settings.set('{name}', true)")
    shared.run("mvt4g.settings.set('camera', 'free'); mvt4g.settings.set('edges', 0.3)")
    video = box_scene(frames=1, size=(96, 128)).reference.video[0].numpy()
    rows = ((np.arange(len(shown)) + 3) / height * 96).astype(int)
    columns = ((np.arange(shown.shape[1]) + 3) / width * 128).astype(int)
    error = np.abs(shown.astype(int) - video[rows][:, columns])
    assert np.median(error) <= 4
    assert (error.max(axis=-1) < 40).mean() > 0.97


@pytest.mark.slow
def test_slider_keys_and_clock(shared):
    shared.run("mvt4g.player.seek(0)")
    keys = shared.page.keyboard
    slider = shared.page.locator("#frame")
    slider.evaluate("(slider) => { slider.value = 17; slider.dispatchEvent(new Event('input')); }")
    shared.rest()
    assert shared.run(f"[mvt4g.player.frame, mvt4g.stage.frame, ...{NUMBERS}]") == [17] * 4
    shared.run("document.activeElement.blur()")
    for key, want in (("ArrowRight", 18), (".", 19), ("ArrowLeft", 18), (",", 17), ("End", 23), ("ArrowRight", 0),
                      ("ArrowLeft", 23), ("Home", 0)):  # fmt: skip
        keys.press(key)
        assert shared.run("mvt4g.player.frame") == want, key
    keys.press("Space")
    assert shared.run("mvt4g.player.playing")
    shared.wait("mvt4g.player.frame > 1")
    keys.press("Space")
    assert not shared.run("mvt4g.player.playing")
    assert shared.run("document.getElementById('clock').textContent").split()[0].isdigit()
    for key, name in (("f", "frusta"), ("p", "paths"), ("i", "images"), ("g", "trueCameras"), ("m", "tracks"),
                      ("v", "videoTracks"), ("u", "hidden"), ("j", "pairs"), ("n", "trueTracks"), ("1", "reference"),
                      ("2", "generated"), ("h", "panel"), ("o", "sway")):  # fmt: skip
        before = shared.run(f"mvt4g.settings.get('{name}')")
        keys.press(key)
        assert shared.run(f"mvt4g.settings.get('{name}')") is not before, key
        keys.press(key)
    for key, name, want in (("]", "speed", 2), ("[", "speed", 1), ("r", "camera", "reference"),
                            ("t", "camera", "generated"), ("0", "camera", "free"),
                            ("c", "colour", "view"), ("c", "colour", "depth"),
                            ("c", "colour", "true"), ("b", "style", "points"), ("b", "style", "surface")):  # fmt: skip
        keys.press(key)
        assert shared.run(f"mvt4g.settings.get('{name}')") == want, (key, want)
    keys.press("?")
    assert shared.page.locator("#help").is_visible()
    listed = set("".join(shared.page.locator("#help kbd").all_inner_texts()).upper())
    assert set("WASDQERTOC-+FPIGMVUJNXLHB?12[]0") <= listed
    keys.press("Escape")
    assert not shared.page.locator("#help").is_visible()
    shared.run("mvt4g.player.seek(0)")


@pytest.mark.slow
def test_drag_orbits_wheel_zooms_keys_fly_and_0_comes_home(shared):
    shared.run("mvt4g.player.seek(0); mvt4g.stage.eye.home()")
    home = shared.picture("main")
    stage = shared.page.locator("#stage").bounding_box()
    x, y = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2
    mouse = shared.page.mouse

    def drag(button: str) -> None:
        mouse.move(x, y)
        mouse.down(button=button)
        mouse.move(x + 90, y + 30, steps=4)
        mouse.up(button=button)

    def fly() -> None:
        shared.page.keyboard.down("w")
        shared.page.wait_for_timeout(400)
        shared.page.keyboard.up("w")

    moves = {
        "orbit": lambda: drag("left"),
        "pan": lambda: drag("right"),
        "zoom": lambda: mouse.wheel(0, -400),
        "fly": fly,
    }
    for name, move in moves.items():
        before = shared.run("mvt4g.stage.eye.pose")
        move()
        moved = shared.picture("main")
        after = shared.run("mvt4g.stage.eye.pose")
        assert (home != moved).any(axis=-1).mean() > 0.05, name
        turns = not np.allclose(before["target"], after["target"], atol=1e-3)
        assert turns == (name in ("pan", "fly", "zoom")), name
        shared.page.keyboard.press("0")
        assert np.array_equal(home, shared.picture("main")), name


@pytest.mark.slow
def test_a_drag_in_a_bound_camera_goes_on_from_there(shared):
    shared.run("mvt4g.player.seek(6); mvt4g.settings.set('camera', 'generated')")
    shared.rest()
    stage = shared.page.locator("#stage").bounding_box()
    shared.page.mouse.move(stage["x"] + 100, stage["y"] + 100)
    shared.page.mouse.down()
    shared.page.mouse.up()
    assert shared.run("mvt4g.settings.get('camera')") == "free"
    shift = 0.8 * 6 / 23 / 4
    assert shared.run("mvt4g.stage.eye.pose.position") == pytest.approx([shift, 0, 0], abs=1e-3)
    shared.run("mvt4g.stage.eye.home(); mvt4g.player.seek(0)")


@pytest.mark.slow
def test_the_address_says_how_a_page_begins(browser, file):
    page = OpenPage(browser, file, "#frame=7&camera=generated&tracks=0&size=1.5&colour=view&theme=light&speed=x")
    page.rest()
    assert page.run("mvt4g.stage.frame") == 7
    got = page.run("['camera', 'tracks', 'size', 'colour', 'theme', 'speed'].map((name) => mvt4g.settings.get(name))")
    assert got == ["generated", False, 1.5, "view", "light", 1]
    assert page.complaints == []
    page.close()


@pytest.mark.slow
def test_light_and_dark_and_a_saved_picture(shared):
    before = shared.picture("body")
    shared.page.keyboard.press("l")
    light = shared.picture("body")
    shared.page.keyboard.press("l")
    assert np.array_equal(before, shared.picture("body"))
    assert light.mean() > before.mean() + 60
    with shared.page.expect_download() as download:
        shared.page.keyboard.press("x")
    assert download.value.suggested_filename == "A_box_00000.png"


@pytest.mark.slow
@pytest.mark.parametrize("size", [(390, 844), (844, 390)], ids=["upright", "across"])
def test_a_phone_shows_everything(browser, file, size):
    page = OpenPage(browser, file, size=size)
    page.rest()
    width, height = size
    for selector in ("main", "#video-reference", "#video-generated", "#play", "#frame", "#button-settings"):
        box = page.page.locator(selector).bounding_box()
        assert box["x"] >= 0, selector
        assert box["y"] >= 0, selector
        assert box["x"] + box["width"] <= width + 1, selector
        assert box["y"] + box["height"] <= height + 1, selector
    stage = page.page.locator("main").bounding_box()
    assert stage["width"] * stage["height"] > 0.3 * width * height
    page.page.locator("#button-settings").click()
    panel = page.page.locator("#panel").bounding_box()
    assert panel["height"] > 100
    assert panel["y"] + panel["height"] <= height + 1
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", odd_scenes())
def test_odd_scenes_open(browser, tmp_path, name):
    scene = odd_scenes()[name]
    page = OpenPage(browser, write_scene_page(scene, tmp_path / "scene.html").path)
    page.page.keyboard.press("Space")
    if scene.num_frames > 1:
        page.wait("mvt4g.player.frame === 1")
        page.page.keyboard.press("Space")
    page.rest()
    assert page.run("mvt4g.stage.frame === mvt4g.player.frame")
    assert page.picture("main").std() > 5
    assert page.run("document.getElementById('play').disabled") == (scene.num_frames == 1)
    assert page.complaints == []
    page.close()


@pytest.mark.slow
def test_two_hundred_frames_open_and_the_last_is_reached(browser, tmp_path):
    path = write_scene_page(box_scene(frames=200, size=(36, 48)), tmp_path / "scene.html").path
    page = OpenPage(browser, path)
    page.page.keyboard.press("End")
    page.rest()
    assert page.run(f"[mvt4g.stage.frame, ...{NUMBERS}]") == [199] * 3
    page.close()


@pytest.mark.slow
def test_a_fault_of_the_page_s_would_be_seen(browser, tmp_path, file):
    """The tests above see an error of the console, and a request that the page's policy would stop."""
    broken = tmp_path / "broken.html"
    text = file.read_text().replace("<footer", '<img src="https://example.com/x.png"><footer', 1)
    broken.write_text(
        text.replace("default-src 'none'; ", "default-src * 'unsafe-inline'; ").replace("data: blob:", "*")
    )
    page = OpenPage(browser, broken)
    page.run("console.error('told')")
    page.wait("true")
    assert any("example.com" in address for address in page.requests)
    assert "told" in page.complaints
    page.close()
