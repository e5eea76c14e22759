"""A gallery of scene pages: lazily loaded, moved together, in folders of any name."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mvt4g.types import InputError
from mvt4g.viz.scene_page import write_gallery, write_scene_page
from tests.viz.scene_page.browser import BROWSER, NO_BROWSER, chromium
from tests.viz.scene_page.made_scenes import box_scene
from tests.viz.scene_page.test_page import Elements

NAMES = ("dog run", "50% & <b>", "café")


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    pages = [write_scene_page(box_scene(frames=4), folder / name / "scene.html").path for name in NAMES]
    return write_gallery(pages, folder / "index.html", "My <clips>")


def test_a_gallery_names_its_scenes_by_relative_paths_and_holds_their_pictures(gallery):
    text = gallery.read_text()
    parsed = Elements(text)
    assert parsed.texts["title"].strip() == "My <clips>"
    scenes = json.loads(parsed.texts["list"])
    assert [scene["title"] for scene in scenes] == list(NAMES)
    assert scenes[0]["href"] == "dog%20run/scene.html"
    assert all(scene["poster"].startswith("data:image/webp;base64,") for scene in scenes)
    assert str(gallery.parent) not in text
    assert "iframe" not in [tag for tag, _ in parsed.elements], "nothing is loaded before it is opened"


@pytest.mark.parametrize("content", ["", "<html>", "<meta name='mvt4g-scene' content='[1]'>", "\x00\xff"])
def test_what_is_no_scene_page_is_refused(tmp_path, content):
    (tmp_path / "scene.html").write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=r"scene.html: .*want a page of write_scene_page"):
        write_gallery([tmp_path / "scene.html"], tmp_path / "index.html")
    with pytest.raises(InputError, match="got no scene page"):
        write_gallery([], tmp_path / "index.html")
    assert not (tmp_path / "index.html").exists()


@pytest.fixture
def page(gallery) -> Iterator:
    with chromium() as browser:
        tab = browser.new_page(viewport={"width": 1200, "height": 800})
        tab.faults = []
        tab.on("console", lambda message: message.type == "error" and tab.faults.append(message.text))
        tab.on("pageerror", lambda error: tab.faults.append(str(error)))
        tab.asked = []
        tab.on("request", lambda request: tab.asked.append(request.url))
        tab.goto(gallery.as_uri())
        yield tab


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason=NO_BROWSER)
def test_scenes_load_when_opened_and_move_together(page, gallery):
    assert page.asked == [gallery.as_uri()]
    page.locator("#scenes button").nth(0).click()
    page.locator("#scenes button").nth(1).click()
    assert page.locator("iframe").count() == 2

    def frames() -> list:
        return [frame for frame in page.frames if frame is not page.main_frame]

    def wait(condition: str, count: int = 2) -> None:
        for _ in range(1200):
            states = [
                frame.evaluate(f"Boolean(window.mvt4g?.timing.firstPicture && ({condition}))") for frame in frames()
            ]
            if len(states) == count and all(states):
                return
            page.wait_for_timeout(50)
        pytest.fail(f"waited in vain for {condition}: {states}")

    wait("true")
    assert len(page.asked) == 3
    one, other = frames()
    one.evaluate("mvt4g.player.seek(3)")
    wait("mvt4g.player.frame === 3")
    other.evaluate("mvt4g.stage.eye.free.position.set(1, 2, 3); mvt4g.stage.eye.controls.update()")
    wait("Math.abs(mvt4g.stage.eye.pose.position[1] - 2) < 0.01")
    page.locator("#lock").click()
    one.evaluate("mvt4g.player.seek(1)")
    page.wait_for_timeout(500)
    assert sorted(frame.evaluate("mvt4g.player.frame") for frame in frames()) == [1, 3]
    page.locator("#scenes a").nth(2).click()
    wait("true", count=1)
    page.locator("#search").fill("caf")
    shown = [item.is_visible() for item in page.locator("#scenes li").all()]
    assert np.array_equal(shown, [False, False, True])
    assert page.faults == []
    assert all(address.startswith("file:") for address in page.asked)
