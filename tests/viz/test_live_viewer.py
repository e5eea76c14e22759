"""The scene in viser, without a browser: what the server holds follows the frame and the switches."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mvt4g.viz.live_viewer import LiveViewer, ViewerSpec, start_server, stop_server
from mvt4g.viz.scene_clouds import CloudFilter
from tests.formats.test_scene4d import small_scene

pytest.importorskip("viser", reason="the extra viewer is not installed")
EVERY_PIXEL = ViewerSpec(filter=CloudFilter(edges=False))


@pytest.fixture(scope="module")
def server():
    running = start_server("localhost", 18630)
    yield running
    stop_server(running)


@pytest.fixture
def viewer(server):
    server.scene.reset()
    server.gui.reset()
    return LiveViewer(small_scene(generated_size=(8, 10)), server, EVERY_PIXEL)


def node(viewer, name):
    return viewer.server.scene._handle_from_node_name[name]


def test_clouds_frusta_and_videos_follow_the_frame(viewer):
    assert node(viewer, "/reference").points.shape == (24, 3)
    assert node(viewer, "/generated").points.shape == (80, 3)
    first = node(viewer, "/reference").points.copy()
    viewer.show(2)
    assert not np.array_equal(node(viewer, "/reference").points, first)
    colours = viewer.scene.reference.video[2].reshape(-1, 3).numpy()
    assert np.array_equal(node(viewer, "/reference").colors, colours)
    centre = -viewer.scene.generated.cameras.cam_from_world[2, :3, 3]  # its rotation is the identity
    assert viewer.frusta["generated"].position == pytest.approx(centre.tolist())


def test_only_tracks_with_a_position_are_drawn(viewer):
    world = viewer.scene.tracks.world
    world[0, 1, 0] = torch.nan
    viewer.show(1)
    assert node(viewer, "/tracks/reference").points.shape == (4, 3)
    assert node(viewer, "/tracks/generated").points.shape == (5, 3)
    assert node(viewer, "/trails/reference").points.shape == (4, 2, 3)
    viewer.show(0)
    assert "/trails/reference" not in viewer.server.scene._handle_from_node_name


def test_switches_hide_what_they_name(viewer):
    viewer.shown["generated"].value = False
    viewer.with_cameras.value = False
    viewer.tinted.value = True
    viewer.show(0)
    viewer._show_cameras()
    assert not node(viewer, "/generated").visible
    assert not node(viewer, "/tracks/generated").visible
    assert node(viewer, "/reference").visible
    assert not viewer.frusta["reference"].visible
    plain = viewer.scene.reference.video[0].reshape(-1, 3).numpy()
    assert not np.array_equal(node(viewer, "/reference").colors, plain)


def test_playing_goes_round(viewer):
    viewer.play(0.0)
    assert viewer.slider.value == 0
    viewer.playing.value = True
    for want in (1, 2, 0):
        viewer.play(0.0)
        assert viewer.slider.value == want


def test_large_clouds_are_thinned_and_one_frame_without_tracks_opens(server):
    server.scene.reset()
    server.gui.reset()
    scene = replace(small_scene(frames=1), tracks=None)
    viewer = LiveViewer(scene, server, ViewerSpec(most_points=10, filter=CloudFilter(edges=False)))
    assert node(viewer, "/reference").points.shape == (10, 3)
    assert viewer.slider.disabled
