"""Recipes by name: scenes as public multi-view data sets make them, each a frozen spec to be scaled by ``replace``."""

from collections.abc import Callable
from dataclasses import replace

from mvt4g.synthetic.camera_specs import CameraSpec, LinearCameras, RecamCameras, RingCameras
from mvt4g.synthetic.look_spec import LookSpec
from mvt4g.synthetic.object_specs import DroppedObjects, ObjectSpec, SurfaceSpec
from mvt4g.synthetic.point_spec import PointSpec
from mvt4g.synthetic.spec import SceneSpec


def movi_e() -> SceneSpec:
    """Return MOVi-E's: 10 to 20 settled bodies, 1 to 3 thrown, each view on its own straight path.

    MOVi has one camera a scene; several views here are of one simulation, each drawn by the same law on its own.

    Source: kubric, challenges/movi/movi_def_worker.py.
    """
    return SceneSpec(
        num_frames=24,
        image_size=(256, 256),
        num_views=2,
        fps=12.0,
        objects=DroppedObjects(),
        cameras=LinearCameras(),
        looks=LookSpec.kubric(),
        points=PointSpec(count=256, budget="kubric"),
    )


def movi_f() -> SceneSpec:
    """Return MOVi-F's: MOVi-E's at 512x512 with motion blur.

    Source: kubric, challenges/movi/movi_def_worker.py.
    """
    return replace(movi_e(), image_size=(512, 512), looks=LookSpec.kubric_blurred())


def kubric_4d() -> SceneSpec:
    """Return Kubric-4D's: 16 views that stand still, 4 above and 12 low around the scene, 2.5 seconds.

    Friction and restitution are drawn once a scene. Masses go by size squared as there; the guesses of a language
    model at what each object weighs are left out, since primitives weigh alike.

    Source: Van Hoorick et al., Generative Camera Dolly, 2024; gcd, data-gen/export_kub_mv.py.
    """
    return SceneSpec(
        num_frames=60,
        image_size=(384, 576),
        num_views=16,
        fps=24.0,
        objects=DroppedObjects(
            static=(6, 16),
            dynamic=(1, 6),
            size=(1.0, 2.75),
            static_region=((-7.0, 7.0), (-7.0, 7.0), (0.0, 7.0)),
            dynamic_region=((-5.0, 5.0), (-5.0, 5.0), (1.0, 6.0)),
            velocity=(4.0, 4.0, 1.0),
            centre_pull=(0.6, 1.2),
            settle=4.0,
            surfaces=SurfaceSpec(
                floor_friction=(0.3, 0.4),
                floor_restitution=(0.6, 0.7),
                friction=(0.4, 0.5),
                restitution=(0.6, 0.7),
            ),
            mass_exponent=2.0,
            first_frame=0,
        ),
        cameras=RingCameras(),
        looks=LookSpec.kubric(),
        points=PointSpec(count=512, budget="kubric"),
    )


def recam() -> SceneSpec:
    """Return moving cameras with ReCamMaster's ranges about a small scene of more thrown bodies, 81 frames at 15 fps.

    Bodies fall from up to 10 units so that something moves for most of the 5.4 seconds.

    Source: Bai et al., ReCamMaster, 2025, and its data set MultiCamVideo (frames, rate, lenses, ranges of motion).
    """
    return SceneSpec(
        num_frames=81,
        image_size=(256, 256),
        num_views=4,
        fps=15.0,
        objects=DroppedObjects(
            static=(4, 8),
            dynamic=(3, 6),
            size=(0.5, 1.75),
            static_region=((-3.0, 3.0), (-3.0, 3.0), (0.0, 6.0)),
            dynamic_region=((-2.5, 2.5), (-2.5, 2.5), (1.0, 10.0)),
            velocity=(2.0, 2.0, 2.0),
            surfaces=SurfaceSpec(floor_restitution=(0.8, 0.9), restitution=(0.8, 0.9)),
            first_frame=0,
        ),
        cameras=RecamCameras(),
        looks=replace(LookSpec.filmed(), shutter=(0.0, 0.0)),  # blur takes eight times as long
        points=PointSpec(count=512, budget="kubric"),
    )


def parallax() -> SceneSpec:
    """Return a world in which correspondence matters: 5 frames of 64x64 over half a second.

    Ours, no public set's. Views are 15 to 40 degrees apart. Cameras are nearer than ``tiny``'s, travel farther and each
    aims at its own point, so that few points keep their cell from view to view or from frame to frame. Bodies (2 to 5,
    at least one thrown) fly several cells. Waves of colour are stronger, so that a texture tells its place.
    ``experiments/steps_to_quality/world.py`` measures how often "the same cell" is right here.
    """
    return SceneSpec(
        num_frames=5,
        image_size=(64, 64),
        num_views=3,
        fps=8.0,
        objects=ObjectSpec(thrown=(1, 3), size=(1.0, 1.9), speed=(4.0, 7.0)),
        cameras=CameraSpec(
            radius=(5.5, 8.5),
            elevation=(30.0, 50.0),
            separation=(15.0, 40.0),
            travel=(1.0, 3.0),
            look_at_radius=1.1,
            fov=(44.0, 54.0),
        ),
        looks=LookSpec(
            ground_wavelength=(2.6, 9.0),
            ground_waves=8,
            ground_contrast=0.26,
            object_waves=4,
            object_contrast=0.22,
        ),
    )


def parallax_nano() -> SceneSpec:
    """Return ``parallax`` as 3 frames of 48x48 over the same half second: cells of 8 pixels are larger in the image."""
    return replace(parallax(), num_frames=3, image_size=(48, 48), fps=4.0)


RECIPES: dict[str, Callable[[], SceneSpec]] = {
    "tiny": SceneSpec.tiny,
    "nano": SceneSpec.nano,
    "movi_e": movi_e,
    "movi_f": movi_f,
    "kubric_4d": kubric_4d,
    "recam": recam,
    "parallax": parallax,
    "parallax_nano": parallax_nano,
}
