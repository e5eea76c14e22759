"""The files of full-size backbones, which no test can build: cut down until they train a step, else as they are."""

from pathlib import Path

import pytest
import torch
import yaml

from mvt4g.commands.parsing.config_files import read_config
from mvt4g.models.tracking.head import TrackingHeadSpec

FOLDER = Path(__file__).parents[2] / "configs" / "backbone"
SMALL_DIT = {"dim": 48, "ffn_dim": 96, "freq_dim": 32, "text_dim": 16, "text_len": 8, "num_heads": 2, "num_layers": 2}
SMALL_HEAD = {
    "channels": 8, "upsampler_hidden": 16, "scales": [1, 2], "radius": 1, "width": 24, "num_blocks": 1, "num_virtual": 4
}  # fmt: skip
RECIPES = {
    "recammaster": (["wan_1_3b_recammaster.yaml"], {}),
    "redirector": (["wan_1_3b_redirector.yaml"], {"image_dim": 8, "control_channels": 6 * 4 * 4}),
    "lora": (["wan_1_3b_recammaster.yaml", "lora_24gb.yaml"], {}),
}


def cut_down(dit):
    """What goes on top: no weights, another codec, one process on the CPU, sizes."""
    backbone = {"dit": SMALL_DIT | dit, "grid": {"temporal_stride": 1, "spatial_stride": 4}, "weights": None}
    return {
        "trainer": {"accelerator": "cpu", "devices": 1, "strategy": "auto", "max_steps": 1, "limit_val_batches": 0,
                    "accumulate_grad_batches": 1, "callbacks": [{"class_path": "mvt4g.callbacks.ema.EMA"}]},
        "model": {"init_args": {
            "codec": {"class_path": "mvt4g.models.codec.PatchCodec", "init_args": {}},
            "backbone": {"init_args": backbone},
            "tracking_head": {"init_args": {"layer": 1, "spec": SMALL_HEAD}},
            "evaluation": {"attention_layers": [1]},
        }},
        "data": yaml.safe_load((FOLDER.parent / "debug.yaml").read_text())["data"],
    }  # fmt: skip


@pytest.mark.parametrize("recipe", RECIPES)
def test_trains_a_step(mvt4g, tmp_path, recipe):
    names, dit = RECIPES[recipe]
    small = tmp_path / "small.yaml"
    small.write_text(yaml.safe_dump(cut_down(dit)))
    layers = [part for name in (*(FOLDER / name for name in names), small) for part in ("-c", name)]
    assert mvt4g("fit", *layers, "--run", tmp_path / "run") == 0
    trained = torch.load(tmp_path / "run" / "checkpoints" / "step-00000001.ckpt", weights_only=True)
    parts = {name.split(".")[-2] for name in trained["callbacks"]["EMA"]["average"] if "dit.blocks" in name}
    own = {"recammaster": {"projector", "cam_encoder"}, "redirector": {"1"}, "lora": {"cam_encoder"}}[recipe]
    norms = set() if recipe == "lora" else {"norm_q", "norm_k"}
    assert parts == {"q", "k", "v", "o", "plucker"} | own | norms


def head_spec(path):
    spec = read_config(path)["model"]["init_args"]["tracking_head"]["init_args"]["spec"]
    return TrackingHeadSpec(**spec | {"scales": tuple(spec["scales"])})


def test_heads_of_full_size_are_mvtaps_and_the_papers_other_reading_is_a_file():
    for name in ("recammaster", "redirector"):
        assert head_spec(FOLDER / f"wan_1_3b_{name}.yaml") == TrackingHeadSpec.full()
    assert head_spec(FOLDER.parent / "head" / "reductions_1_2_3_4.yaml").scales == (1, 2, 3, 4)


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("wan_1_3b_*.yaml")))
def test_eight_gpus_hold_slices_and_none_computes_half_a_layer(name):
    trainer = read_config(FOLDER / name)["trainer"]
    options = trainer["strategy"]["init_args"]
    assert options == {
        "data_parallel_size": trainer["devices"],
        "tensor_parallel_size": 1,
        "save_distributed_checkpoint": False,
    }
    assert trainer["precision"] == "bf16-mixed"
