"""A clip as a scene of MVTracker's kubric-multiview, in plain NumPy."""

import numpy as np

from tests.formats.layouts.blender import by_visibility, matrix_world, metadata, write_json, write_pictures


def write_mvtracker(scene, clip, order="wxyz", depth_as="distance", hidden="occlusion", shift=0.0, version=3):
    views = len(clip.video)
    instances = sorted(set(clip.instances.unique().tolist()) - {0} | set(clip.point_instance.unique().tolist()) - {0})
    asset = {0: 1} | {
        instance: views + 2 + instance for instance in instances
    }  # the dome is asset 1, cameras come next
    scene.mkdir(parents=True)
    np.savez(scene / "tracks_3d.npz", tracks_3d=clip.points_world.numpy().astype(np.float64))
    numbers = np.array([asset[instance] for instance in clip.point_instance.tolist()])
    np.savez(scene / "tracks_segmentation_ids.npz", tracks_segmentation_ids=numbers)
    names = ["dome", *(f"object_{instance}" for instance in instances)]
    write_json(scene / "tracked_objects.json", {"names": names, "ids": list(asset.values())})
    eyes = np.array([matrix_world(pose)[:3, 3] for pose in clip.cameras.cam_from_world[:, 0].numpy()])
    if version == 3:
        np.savez(scene / "cameras.npz", camera_positions=eyes, lookat_positions=np.zeros_like(eyes))
    else:
        np.savez(scene / "views.npz", views=eyes)
    for view in range(views):
        folder = scene / f"view_{view}"
        seen = by_visibility(clip, view)
        local = {instance: place + 1 for place, instance in enumerate(seen)}
        write_pictures(folder, clip, view, local, depth_as)
        write_json(folder / "metadata.json", metadata(clip, view, seen, order=order))
        mapping = {"dome": 0, "camera": 0} | {f"object_{instance}": local.get(instance, 0) for instance in instances}
        write_json(folder / "object_id_to_segmentation_id.json", mapping)
        visible = clip.visible[view].numpy()
        occlusion = ~visible if hidden == "occlusion" else visible
        np.savez(folder / "tracks_2d.npz", tracks_2d=clip.tracks[view].numpy() + shift, occlusion=occlusion)
