"""The page as a file: what it holds is the scene, and it is whole, small, current and alone."""

import base64
import dataclasses
import hashlib
import html
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mvt4g.formats.scene4d import Scene4D, SceneTracks, SceneView
from mvt4g.geometry.camera import unproject_pixels
from mvt4g.geometry.pose import transform_points
from mvt4g.types import InputError
from mvt4g.viz.scene_page import write_scene_page
from mvt4g.viz.scene_page.content import MAX_TRACKS, spread_over
from mvt4g.viz.scene_page.pictures import LADDER, encode_views
from mvt4g.viz.scene_page.template import fill, script_json
from tests.viz.scene_page.made_scenes import box_scene

ROOT = Path(__file__).parents[3]
VIEWER = ROOT / "mvt4g" / "viz" / "scene_page" / "viewer"


class Elements(HTMLParser):
    """Collects elements, their attributes and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, Any]]] = []
        self.texts: dict[str, str] = {}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = dict(attrs).get("id", tag)

    def handle_data(self, data: str) -> None:
        self.texts[self._open] = self.texts.get(self._open, "") + data


def content_of(path: Path) -> tuple[dict[str, Any], bytes]:
    texts = Elements(path.read_text()).texts
    return json.loads(texts["scene"]), base64.b64decode(texts["bytes"])


def picture_of(block: bytes, place: list[int]) -> np.ndarray:
    offset, length = place
    return np.asarray(Image.open(io.BytesIO(block[offset : offset + length])).convert("RGB")).astype(np.int64)


def floats_of(block: bytes, place: list[int], shape: tuple[int, ...]) -> np.ndarray:
    offset, length = place
    return np.frombuffer(block[offset : offset + length], "<f4").reshape(shape)


def test_pixels_of_the_page_are_the_points_of_the_scene(tmp_path):
    """A twin of the viewer's unprojection, on what the page holds, against geometry.camera on the scene."""
    scene = box_scene(frames=3, size=(12, 20), generated_size=(10, 14))
    turned = torch.tensor([[0.0, -1, 0, 0.3], [1, 0, 0, -2], [0, 0, 1, 0.5], [0, 0, 0, 1]])
    for view in scene.views:
        view.cameras.cam_from_world[:] = view.cameras.cam_from_world @ turned  # another world
    page = write_scene_page(scene, tmp_path / "scene.html")
    content, block = content_of(page.path)
    assert content["scale"] == 4.0
    for told, view in zip(content["views"], scene.views, strict=True):
        height, width = view.depth.shape[1:]
        assert (told["width"], told["height"]) == (width, height)
        y, x = np.mgrid[:height, :width] + 0.5
        for frame in range(3):
            bytes_ = picture_of(block, told["depth"][frame])
            depth = np.exp(told["logNear"] + (256 * bytes_[..., 0] + bytes_[..., 1] - 1) * told["logStep"])
            fx, skew, cx, fy, cy = told["lenses"][frame]
            down = (y - cy) / fy
            rays = np.stack([(x - cx - skew * down) / fx, down, np.ones_like(x)], axis=-1)
            pose = np.array(told["poses"][frame]).reshape(3, 4)
            got = depth[..., None] * rays @ pose[:, :3].T + pose[:, 3]
            pixels = torch.from_numpy(np.stack([x, y], axis=-1)).float()
            cameras = view.cameras[frame]
            world = unproject_pixels(pixels, view.depth[frame], cameras.cam_from_world, cameras.intrinsics)
            want = transform_points(scene.reference.cameras.cam_from_world[0], world) / content["scale"]
            assert np.abs(got - want.numpy()).max() < 2 * page.depth_error


def test_colours_times_and_tracks_are_the_scene_s(tmp_path):
    scene = box_scene(frames=3)
    scene.tracks.world[1, 2, 3] = torch.nan
    content, block = content_of(write_scene_page(scene, tmp_path / "scene.html").path)
    colour = picture_of(block, content["views"][1]["colour"][2])
    assert np.abs(colour - scene.generated.video[2].numpy()).mean() < 4
    assert content["times"] == pytest.approx([0, 1 / 24, 2 / 24], abs=1e-6)
    count = scene.tracks.visible.shape[-1]
    world = floats_of(block, content["tracks"]["world"], (2, 3, count, 3))
    want = scene.tracks.world.numpy() / content["scale"]
    np.testing.assert_allclose(world, want, atol=1e-6)
    assert np.isnan(world[1, 2, 3]).all()
    pixels = floats_of(block, content["tracks"]["pixels"], (2, 3, count, 2))
    np.testing.assert_array_equal(pixels, scene.tracks.pixels.numpy())
    offset, length = content["tracks"]["seen"]
    assert list(block[offset : offset + length]) == scene.tracks.visible.flatten().int().tolist()
    truth = floats_of(block, content["truth"]["world"], (3, count, 3))
    np.testing.assert_allclose(truth, scene.true_tracks.world.numpy() / content["scale"], atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, MAX_TRACKS, MAX_TRACKS + 1, 3 * MAX_TRACKS + 7])
def test_of_many_tracks_some_are_kept_evenly(count):
    kept = spread_over(count)
    assert len(kept) == len(set(kept)) == min(count, MAX_TRACKS)
    steps = np.diff(kept)
    assert len(steps) == 0 or (steps.max() - steps.min() <= 1 and count - kept[-1] <= steps.max() + 1)


def test_a_page_says_which_tracks_it_left_out(tmp_path):
    few = box_scene(frames=1, points=MAX_TRACKS + 100, with_truth=False)
    page = write_scene_page(few, tmp_path / "scene.html")
    assert (page.num_tracks, page.tracks_left_out) == (MAX_TRACKS, 100)
    assert f"{MAX_TRACKS} of {MAX_TRACKS + 100} tracks" in str(page)


def test_a_title_is_text_and_nothing_is_fetched(tmp_path):
    title = "</script><img src=https://example.com/x> {{bytes}} & co"
    page = write_scene_page(box_scene(), tmp_path / "scene.html", title)
    text = page.path.read_text()
    parsed = Elements(text)
    tags = [tag for tag, _ in parsed.elements]
    assert tags.count("script") == 3
    assert "img" not in tags
    assert parsed.texts["title"].rstrip("\n") == title
    assert json.loads(parsed.texts["scene"])["title"] == title
    for _, attributes in parsed.elements:
        assert attributes.get("src") is None
        assert attributes.get("href", "data:").startswith("data:")
    (policy,) = [got["content"] for _, got in parsed.elements if got.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy


def test_a_page_without_a_title_is_called_as_its_folder(tmp_path):
    path = write_scene_page(box_scene(points=0), tmp_path / "dog" / "scene.html").path
    assert "<title>dog</title>" in path.read_text()


def changed_view(view: SceneView, **fields: Any) -> SceneView:
    return dataclasses.replace(view, **fields)


def odd_scenes() -> dict[str, Scene4D]:
    plain = box_scene(frames=2, points=3)
    holed = plain.generated.depth.clone()
    holed[0] = torch.nan
    holed[1, :4] = -torch.inf
    far = plain.reference.depth.clone()
    far[0, 0, 0] = 1e30
    none = SceneTracks(*(tensor[:, :, :0] for tensor in vars(plain.tracks).values()))
    return {
        "NaN": dataclasses.replace(plain, generated=changed_view(plain.generated, depth=holed)),
        "far": dataclasses.replace(plain, reference=changed_view(plain.reference, depth=far)),
        "no tracks": box_scene(frames=2, points=0),
        "an empty list of tracks": dataclasses.replace(plain, tracks=none, true_tracks=None),
        "one frame": box_scene(frames=1),
        "two sizes": box_scene(frames=2, size=(48, 64), generated_size=(30, 41)),
        "no confidence, no truth": box_scene(frames=2, with_truth=False, with_confidence=False),
        "tiny": box_scene(frames=1, size=(8, 8), points=1),
    }


@pytest.mark.parametrize("name", odd_scenes())
def test_odd_scenes_make_a_page(tmp_path, name):
    scene = odd_scenes()[name]
    page = write_scene_page(scene, tmp_path / "scene.html")
    content, block = content_of(page.path)
    assert content["frames"] == scene.num_frames
    assert page.depth_error <= 0.005
    depth = picture_of(block, content["views"][1]["depth"][0])
    assert (depth[..., :2].sum(axis=-1) > 0).any() == (name != "NaN")


def test_a_view_without_any_depth_is_refused_in_one_line_and_leaves_nothing(tmp_path):
    scene = box_scene()
    blind = dataclasses.replace(
        scene, generated=changed_view(scene.generated, depth=torch.full_like(scene.generated.depth, torch.nan))
    )
    with pytest.raises(InputError, match=r"scene.html: generated: got no pixel with a depth, want .*\Z"):
        write_scene_page(blind, tmp_path / "scene.html")
    assert list(tmp_path.iterdir()) == []


def test_the_budget_decides_how_fine_pictures_are():
    views = box_scene(frames=6, points=0).views
    sizes = {}
    for budget in (10**9, 0):
        pictures, fineness = encode_views(views, budget)
        assert fineness == LADDER[0 if budget else -1]
        sizes[budget] = sum(len(file) for files in pictures for file in [*files.colour, *files.depth])
    assert sizes[0] < sizes[10**9]
    between = (sizes[0] + sizes[10**9]) // 2
    pictures, fineness = encode_views(views, between)
    assert fineness not in (LADDER[0], LADDER[-1])
    assert sum(len(file) for files in pictures for file in [*files.colour, *files.depth]) <= 1.1 * between


def test_fields_are_replaced_once_and_json_ends_no_script():
    assert fill("{{a}} {{b}}", {"a": "{{b}}", "b": "x"}) == "{{b}} x"
    text = script_json({"a": "</script><!--"})
    assert "<" not in text
    assert json.loads(text) == {"a": "</script><!--"}


def test_the_bundle_is_of_the_sources_and_the_version_that_the_script_names():
    script = (ROOT / "scripts" / "build_viewer.sh").read_text()
    version = re.search(r"^THREE=(\S+)$", script, re.M)[1]
    bundle = (VIEWER / "viewer.js").read_text()
    sources = b"".join(path.read_bytes() for path in sorted((VIEWER / "src").glob("*.js")))
    digest = hashlib.sha256(sources).hexdigest()[:16]
    assert bundle.startswith(f"/* mvt4g viewer, sources {digest}, three.js {version} */"), "run scripts/build_viewer.sh"
    assert "SPDX-License-Identifier: MIT" in bundle
    assert f"three.js](https://github.com/mrdoob/three.js) {version}" in (ROOT / "THIRD_PARTY.md").read_text()
    assert len(bundle) < 1_000_000
    assert "</script" not in bundle


def test_the_page_names_its_facts_for_a_gallery(tmp_path):
    path = write_scene_page(box_scene(), tmp_path / "scene.html", "A & B").path
    elements = Elements(path.read_text()).elements
    (facts,) = [json.loads(got["content"]) for _, got in elements if got.get("name") == "mvt4g-scene"]
    assert facts["title"] == "A & B"
    assert facts["subtitle"].startswith("3 frames · 64×48 · 12 tracks")
    with Image.open(io.BytesIO(base64.b64decode(facts["poster"].partition(",")[2]))) as poster:
        assert poster.size == (320, 120)
    assert html.escape(json.dumps(facts)) in path.read_text()
