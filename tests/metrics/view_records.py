"""The records of two views, from what tests state in parts."""

from dataclasses import fields

from mvt4g.types import GeneratedVideos, ViewRecord

FIELDS = tuple(field.name for field in fields(ViewRecord))


def with_views(update: dict) -> dict:
    """Return keyword arguments whose parts of a view, such as ``target_depth``, are one argument a view."""
    own = {f"{side}_{name}" for side in ("target", "reference") for name in FIELDS}
    views = {
        side: ViewRecord(**{name: update[f"{side}_{name}"] for name in FIELDS if f"{side}_{name}" in update})
        for side in ("target", "reference")
    }
    return {name: value for name, value in update.items() if name not in own} | views


def generated_videos(names, video, **known) -> GeneratedVideos:
    return GeneratedVideos(**with_views({"names": names, "video": video, **known}))
