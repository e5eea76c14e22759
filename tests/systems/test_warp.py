"""The training-free baseline in test: scores of clips of both views."""

import numpy as np
import pytest
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from mvt4g.geometry.lifted_video import LiftingSpec, render_lifted
from mvt4g.inference.lifting.reference_depth import ReferenceDepthSpec
from mvt4g.synthetic.generate import SceneSpec, generate_clip
from mvt4g.systems.warp import WarpBaseline
from mvt4g.types import REFERENCE, TARGET, MultiViewClip


@pytest.fixture(scope="module")
def batch() -> MultiViewClip:
    scene = SceneSpec(image_size=(32, 48), num_views=2, num_frames=2)
    return MultiViewClip.stack([generate_clip(scene, 0, index) for index in range(2)])


def scores(system: WarpBaseline, batch: MultiViewClip) -> dict[str, float]:
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    (found,) = trainer.test(system, DataLoader([batch], batch_size=None), verbose=False)
    return found


def test_clips_are_scored_against_their_true_target_views(batch):
    found = scores(WarpBaseline(lifting=LiftingSpec("mesh"), holes="black"), batch)
    errors = []
    for index in range(2):
        views = batch.cameras[index][REFERENCE], batch.cameras[index][TARGET]
        video = batch.video[index]
        seen = render_lifted(video[REFERENCE], batch.depth[index, REFERENCE], *views, LiftingSpec("mesh"))
        square = (seen.image - video[TARGET]).double().square().mean(dim=(1, 2, 3))
        errors.append(float((-10 * square.log10()).mean()))
    assert found["test/psnr"] == pytest.approx(np.mean(errors), abs=0.01)
    assert {"test/warp_error", "test/warp_error_dyn", "test/warp_error_truth"} <= set(found)
    worse = scores(WarpBaseline(ReferenceDepthSpec(damage=("bias:40",)), LiftingSpec("mesh"), "black"), batch)
    assert worse["test/psnr"] < found["test/psnr"] - 0.5
    assert worse["test/warp_error"] > found["test/warp_error"]
