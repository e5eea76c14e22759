"""One scene, a few hundred steps: everything that can be learned from it is."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader
from torchmetrics.functional.image import peak_signal_noise_ratio

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.evaluation.level_scores import NovelViewScores
from mvt4g.evaluation.spec import EvaluationSpec
from mvt4g.losses.correspondence import CorrespondenceObjective
from mvt4g.losses.track import TrackObjective
from mvt4g.metrics.tracks.by_pair import GROUPS
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import PatchCodec
from mvt4g.models.conditioning.plucker import PluckerConditioning
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.synthetic.generate import SceneSpec, generate_clip
from mvt4g.systems.novel_view import NovelViewSystem
from mvt4g.systems.settings import TrainingSpec
from mvt4g.types import TARGET, MultiViewClip

STEPS = 400


@pytest.mark.slow
def test_one_scene_is_learned():
    torch.manual_seed(0)
    clip = generate_clip(SceneSpec.nano(), seed=0, index=0).select_views([0, 1])
    codec = PatchCodec()
    system = NovelViewSystem(
        ReCamMaster(replace(VideoDiTConfig.nano(), query_gain=3.0), codec.grid, [PluckerConditioning()]),
        codec,
        FlowMatching(shift=3.0),
        tracking_head=partial(TrackingHead, layer=2),
        objectives=[partial(TrackObjective, weight=1.0), partial(CorrespondenceObjective, weight=0.1)],
        training=TrainingSpec(
            num_queries=64,
            optimizer=partial(torch.optim.AdamW, lr=3e-3, betas=(0.9, 0.95)),
            warmup_steps=20,
            decay_steps=STEPS,
        ),
        evaluation=EvaluationSpec(noise_levels=(0.5,), sample_steps=8),
    )
    untrained = evaluate(system, clip)
    loader = DataLoader([clip] * 4 * STEPS, batch_size=4, collate_fn=MultiViewClip.stack)
    trainer = Trainer(
        max_steps=STEPS, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, gradient_clip_val=1.0,
    )  # fmt: skip
    trainer.fit(system, loader)
    trained = evaluate(system, clip)
    assert untrained["psnr"] < 15, "negative control: nothing is known before training"
    assert untrained["track"] < 0.7
    assert trained["psnr"] > 25
    assert trained["track"] > 0.9


def evaluate(system: NovelViewSystem, clip: MultiViewClip) -> dict[str, float]:
    """Return PSNR of the sample against the codec's truth, and track PCK @ 2 px over all pairs of views."""
    system.eval()
    scores, batch = (
        NovelViewScores(system.evaluation, system.score.layers, system.score.headline_layer),
        MultiViewClip.stack([clip]),
    )
    output = system.score(batch, scores, sample=True)
    assert output.generated is not None
    truth = system.model.codec.decode(system.model.codec.encode(batch.video[:, TARGET]))
    psnr = peak_signal_noise_ratio(output.generated[0], truth[0], data_range=1.0, dim=(1, 2, 3))
    metric = scores.levels["at_0_50"].members()["track_pck_2px"]
    kinds = [GROUPS.index(kind) for kind in ("ref", "tgt", "cross")]
    return {"psnr": float(psnr), "track": int(metric.hits[kinds].sum()) / int(metric.total[kinds].sum())}
