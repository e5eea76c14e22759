"""Depth networks of transformers out of a local folder: a small Depth Anything with random weights."""

from pathlib import Path

import pytest
import torch

from mvt4g.models.depth_model import DepthModel, TransformersDepth
from mvt4g.types import InputError

pytest.importorskip("transformers", reason="the extra wan is not installed")


def save_network(folder: Path, kind: str) -> Path:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessor

    backbone = Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14,
        out_indices=[1, 2], out_features=["stage1", "stage2"], reshape_hidden_states=False,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=16, neck_hidden_sizes=[8, 8], fusion_hidden_size=8,
        reassemble_factors=[2, 1], head_hidden_size=4, depth_estimation_type=kind, max_depth=20,
    )  # fmt: skip
    torch.manual_seed(0)
    DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    size = {"height": 28, "width": 42}
    DPTImageProcessor(size=size, ensure_multiple_of=14, keep_aspect_ratio=True).save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_metric_and_relative_networks(tmp_path):
    frames = torch.rand(3, 3, 30, 44, generator=torch.Generator().manual_seed(0))
    metric = TransformersDepth(save_network(tmp_path / "metric", "metric"))
    assert isinstance(metric, DepthModel)
    found = metric(frames)
    assert found.is_metric
    assert found.depth.shape == (3, 30, 44)
    assert 0 < found.depth.min() <= found.depth.max() <= 20
    torch.testing.assert_close(metric(frames[1:2]).depth, found.depth[1:2])  # a frame does not know of the others
    relative = TransformersDepth(save_network(tmp_path / "relative", "relative"))
    said = relative.network(**relative.processor(images=frames[0], do_rescale=False, return_tensors="pt"))
    nearest = said.predicted_depth.argmax()
    found = relative(frames)
    assert not found.is_metric
    known = found.depth[0][found.depth[0] > 0]
    assert known.numel()
    size = said.predicted_depth.shape[-2:]
    y, x = divmod(int(nearest), size[1])
    row, column = int((y + 0.5) * 30 / size[0]), int((x + 0.5) * 44 / size[1])
    near = found.depth[0, max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
    assert near[near > 0].min() == known.min(), "largest where the network says most: its answer is inverse depth"


@pytest.mark.slow
def test_a_folder_without_a_network_is_one_line(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError) as raised:
            TransformersDepth(folder)
        assert str(raised.value).startswith(f"{folder}: ")
        assert "\n" not in str(raised.value)
