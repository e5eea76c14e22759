"""A clip as Kubric workers' output (one view a folder) and as a scene of Kubric-4D, in plain NumPy."""

from tests.formats.layouts.blender import by_visibility, metadata, write_json, write_pictures


def write_worker(scene, clip, view=0, depth_as="distance", **camera_options):
    """Instances are numbered by what the view sees most of, as MOVi's workers do."""
    seen = by_visibility(clip, view)
    write_pictures(scene, clip, view, {instance: place + 1 for place, instance in enumerate(seen)}, depth_as)
    write_json(scene / "metadata.json", metadata(clip, view, seen, **camera_options))


def write_kubric_4d(scene, clip, simulation=0, **camera_options):
    """Instances are numbered alike in all views."""
    instances = list(range(1, int(max(clip.instances.max(), clip.point_instance.max())) + 1))
    for view in range(clip.video.shape[0]):
        write_pictures(scene / f"frames_p{simulation}_v{view}", clip, view)
        content = metadata(clip, view, instances, general="scene", **camera_options)
        write_json(scene / f"{scene.name}_p{simulation}_v{view}.json", content)
