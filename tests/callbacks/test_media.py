"""Pictures of an evaluation: what is on them."""

import io
from unittest.mock import MagicMock

import pytest
import torch
from lightning.pytorch import Trainer
from PIL import Image

from mvt4g.callbacks.media import EvaluationMedia, gif_bytes, video_rows
from mvt4g.evaluation.evaluator import EvaluationOutput
from mvt4g.types import Cameras, InputError, MultiViewClip

FRAMES, SIZE = 3, 16


def output(generated: bool) -> EvaluationOutput:
    eye = torch.eye(4).expand(2, 2, FRAMES, 4, 4)
    clip = MultiViewClip(torch.rand(2, 2, FRAMES, 3, SIZE, SIZE), Cameras(eye, eye[..., :3, :3]), ("a", "b"))
    return EvaluationOutput(clip, torch.rand(2, FRAMES, 3, SIZE, SIZE) if generated else None)


def test_gif_has_every_frame():
    animation = Image.open(io.BytesIO(gif_bytes(torch.rand(FRAMES, 3, SIZE, SIZE))))
    assert (animation.n_frames, animation.size) == (FRAMES, (SIZE, SIZE))


@pytest.mark.parametrize("generated", [True, False])
def test_a_row_is_reference_target_generated(generated):
    shown = output(generated)
    rows, captions = video_rows(shown, clips=5)
    names = ["reference", "target", "generated"][: 3 if generated else 2]
    assert captions == [names] * 2
    small = rows[1][1][:, :, :: rows[1][1].shape[2] // SIZE, :: rows[1][1].shape[3] // SIZE]
    assert torch.equal(small, shown.clip.video[1, 1]), "the second clip's target, enlarged"


def test_files_lie_in_the_run_folder(tmp_path):
    trainer = MagicMock(spec=Trainer, global_step=7, default_root_dir=str(tmp_path), is_global_zero=True, loggers=[])
    EvaluationMedia(clips=1)._show(trainer, output(generated=True), "test")
    names = sorted(path.name for path in (tmp_path / "test" / "media").iterdir())
    assert names == ["videos-00000007.gif", "videos-00000007.png"]


def test_counts_must_be_positive():
    with pytest.raises(InputError, match=r"EvaluationMedia\.clips: got 0"):
        EvaluationMedia(clips=0)
