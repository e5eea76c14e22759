"""Which parameters train: the counts of the public recipes, and what a fit leaves alone."""

import pytest
import torch

from mvt4g.models.backbones import ReCamMaster, ReDirector
from mvt4g.models.conditioning.plucker import PluckerConditioning
from mvt4g.models.trainable import count_groups, freeze_others, group_of, matches, total_count, trainable_table
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import InputError, LatentGrid

RECAMMASTER = ("cam_encoder", "projector", "self_attn")
WAN_GRID = LatentGrid(temporal_stride=4, spatial_stride=8, channels=16)


@pytest.fixture(scope="module")
def full_size():
    with torch.device("meta"):
        backbone = ReCamMaster(VideoDiTConfig.wan_1_3b(), WAN_GRID, [PluckerConditioning()])
    return torch.nn.ModuleDict({"backbone": backbone})


def counted(module, *patterns):
    module.requires_grad_(True)
    freeze_others(module, patterns, "training.trainable")
    return total_count(count_groups(module))


def test_recammaster_at_full_size_trains_what_its_authors_did(full_size):
    trainable, frozen = counted(full_size, *RECAMMASTER)
    assert trainable == (420, 354_816_000)
    assert trainable.numbers + frozen.numbers == sum(value.numel() for value in full_size.parameters())


def test_redirector_at_full_size_trains_what_its_authors_did():
    with torch.device("meta"):
        backbone = ReDirector(VideoDiTConfig.wan_fun_camera_1_3b(), WAN_GRID)
    trainable, _ = counted(torch.nn.ModuleDict({"backbone": backbone}), "self_attn")
    assert trainable == (360, 329_840_640)


def test_with_plucker(full_size):
    without, _ = counted(full_size, *RECAMMASTER)
    trainable, _ = counted(full_size, *RECAMMASTER, "plucker")
    per_block, packing = 1536 * 1536 + 1536, 6 * 4 * 64 * 4 * 1536 + 1536
    assert trainable == (without.tensors + 62, without.numbers + 30 * per_block + packing)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("self_attn", True), ("self_attn.q", True), ("blocks.1[0-9].self_attn", True), ("blocks.*.q.weight", True),
        ("cross_attn", False), ("blocks.2", False), ("Self_attn", False),
    ],
)  # fmt: skip
def test_a_pattern_is_part_of_a_name(pattern, found):
    assert matches("model.backbone.dit.blocks.12.self_attn.q.weight", pattern) is found


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("model.backbone.dit.blocks.7.self_attn.q.weight", "backbone.dit.blocks.*.self_attn"),
        ("model.backbone.dit.blocks.7.modulation", "backbone.dit.blocks.*.modulation"),
        ("model.backbone.dit.text_embedding.0.bias", "backbone.dit.text_embedding"),
        ("model.backbone.null_text", "backbone.null_text"),
        ("model.tracking_head.refiner.layers.0.weight", "tracking_head"),
    ],
)
def test_groups(name, group):
    assert group_of(name) == group


def test_a_pattern_without_a_match_is_named(full_size):
    with pytest.raises(InputError, match=r"^training.trainable: got 'self_atn', .* want part of backbone.null_text, "):
        counted(full_size, "projector", "self_atn")
    with pytest.raises(InputError, match=r"^training.trainable: got an empty list"):
        counted(full_size)


def test_what_is_frozen_stays_frozen():
    module = torch.nn.ModuleDict({"codec": torch.nn.Linear(2, 3), "backbone": torch.nn.Linear(2, 3)})
    module["codec"].requires_grad_(False)
    freeze_others(module, ["weight"], "trainable")
    assert [name for name, value in module.named_parameters() if value.requires_grad] == ["backbone.weight"]
    with pytest.raises(InputError, match="got 'codec'"):
        freeze_others(module, ["codec"], "trainable")


def test_table():
    module = torch.nn.ModuleDict({"backbone": torch.nn.Linear(20, 60), "tracking_head": torch.nn.Linear(1, 2)})
    freeze_others(module, ["backbone.weight", "tracking_head"], "trainable")
    assert trainable_table(count_groups(module)).splitlines() == [
        "| parameters    | trainable |       | frozen |      |",
        "| ---           |      ---: |  ---: |   ---: | ---: |",
        "| backbone      |         1 | 1,200 |      1 |   60 |",
        "| tracking_head |         2 |     4 |        |      |",
        "| all           |         3 | 1,204 |      1 |   60 |",
    ]
