"""Names under which programs outside import metrics: they stay, whatever room a metric lies in."""

import importlib

import pytest

import mvt4g.metrics.video.met3r


@pytest.mark.parametrize("name", ["pck.PCK", "tapvid.TAPVid", "met3r.MEt3R", "camera_pose.CameraPoseError"])
def test_a_metric_is_found_where_it_is_promised(name):
    module, _, metric = name.partition(".")
    found = getattr(importlib.import_module(f"mvt4g.metrics.{module}"), metric)
    assert found.__name__ == metric
    assert found.__module__.startswith("mvt4g.metrics.")


def test_it_is_the_same_class():
    assert importlib.import_module("mvt4g.metrics.met3r").MEt3R is mvt4g.metrics.video.met3r.MEt3R
