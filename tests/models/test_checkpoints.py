import pytest
import torch

from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.checkpoints import load_weights
from mvt4g.models.conditioning.plucker import PluckerConditioning
from mvt4g.types import InputError
from tests.models.small_backbones import GRID, loud_backbone, small_config, small_inputs


def prefixed(state):
    return {f"model.backbone.{name}": value for name, value in state.items()}


def write_fit(path, backbone, average=None):
    """A file as a fit leaves it, a tracking head beside the backbone and perhaps an average of some parameters."""
    state = prefixed(backbone.state_dict()) | {"model.tracking_head.upsampler.weight": torch.zeros(3)}
    callbacks = {} if average is None else {"EMA": {"average": prefixed(average), "num_updates": 7}}
    torch.save({"state_dict": state, "callbacks": callbacks, "global_step": 7}, path)
    return path


def fresh(*extra, **arguments):
    torch.manual_seed(1)
    return ReCamMaster(small_config(), GRID, extra, null_text_length=3, **arguments)


@pytest.fixture
def trained():
    return loud_backbone(plucker=False)


@torch.no_grad()
def test_the_checkpoint_of_a_fit_gives_its_backbone(trained, tmp_path):
    path = write_fit(tmp_path / "step.ckpt", trained)
    loaded = fresh(weights=path)
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in trained.state_dict().items())
    assert torch.equal(loaded(**small_inputs()).velocity, trained(**small_inputs()).velocity)
    assert not torch.equal(fresh()(**small_inputs()).velocity, trained(**small_inputs()).velocity)


def test_the_average_is_taken_where_there_is_one(trained, tmp_path):
    """It holds trainable parameters alone: a frozen one comes from the weights."""
    average = {name: value + 1 for name, value in trained.named_parameters() if name != "null_text"}
    loaded = fresh(weights=write_fit(tmp_path / "step.ckpt", trained, average)).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in average.items())
    assert torch.equal(loaded["null_text"], trained.null_text)


def test_a_conditioning_that_the_base_lacks_stays_as_it_is(trained, tmp_path):
    path = write_fit(tmp_path / "step.ckpt", trained)
    before, loaded = fresh(PluckerConditioning()), fresh(PluckerConditioning(), weights=path)
    for name, value in loaded.state_dict().items():
        source = before if "plucker" in name else trained
        assert torch.equal(value, source.state_dict()[name]), name


def test_a_conditioning_comes_whole_or_not_at_all(tmp_path):
    path = write_fit(tmp_path / "step.ckpt", loud_backbone())
    assert fresh(PluckerConditioning(), weights=path).dit.blocks[0].plucker.weight.any()
    with pytest.raises(InputError, match=r"6 unexpected: dit\.blocks\.0\.plucker\.weight"):
        fresh(weights=path)
    content = torch.load(path)
    del content["state_dict"]["model.backbone.dit.blocks.1.plucker.bias"]
    torch.save(content, path)
    with pytest.raises(InputError, match=r"ReCamMaster: 1 missing: dit\.blocks\.1\.plucker\.bias$"):
        fresh(PluckerConditioning(), weights=path)


def test_what_does_not_fit_is_named_and_nothing_is_loaded(trained, tmp_path):
    path = write_fit(tmp_path / "step.ckpt", trained)
    content = torch.load(path)
    state = content["state_dict"]
    del state["model.backbone.dit.blocks.0.self_attn.q.bias"]
    state["model.backbone.dit.blocks.2.norm3.bias"] = torch.zeros(48)
    state["model.backbone.null_text"] = torch.zeros(1, 4, 6)
    torch.save(content, path)
    backbone = fresh()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    wanted = (
        r"step\.ckpt: got weights of another model than ReCamMaster: 1 missing: dit\.blocks\.0\.self_attn\.q\.bias; "
        r"1 unexpected: dit\.blocks\.2\.norm3\.bias; 1 mis-shaped: null_text \(1, 4, 6\) for \(1, 3, 6\)"
    )
    with pytest.raises(InputError, match=wanted):
        load_weights(backbone, path)
    assert all(torch.equal(backbone.state_dict()[name], value) for name, value in before.items())


def test_weights_that_are_not_finite_are_refused(trained, tmp_path):
    with torch.no_grad():
        trained.dit.blocks[1].ffn[0].bias[2] = torch.nan
    with pytest.raises(InputError, match=r"not finite in dit\.blocks\.1\.ffn\.0\.bias, want"):
        fresh(weights=write_fit(tmp_path / "step.ckpt", trained))


def test_a_checkpoint_without_a_backbone_is_refused(tmp_path):
    torch.save({"state_dict": {"net.weight": torch.zeros(1)}}, tmp_path / "odd.ckpt")
    with pytest.raises(InputError, match=r"odd\.ckpt: got a checkpoint without model\.backbone"):
        fresh(weights=tmp_path / "odd.ckpt")
    torch.save({"net.weight": torch.zeros(1)}, tmp_path / "odd.pth")
    with pytest.raises(InputError, match=r"odd\.pth: got weights under names unknown here"):
        fresh(weights=tmp_path / "odd.pth")
