import pytest
import torch
from safetensors.torch import save_file

from mvt4g.models.backbones import ReCamMaster, ReDirector
from mvt4g.models.backbones.redirector import PHASES
from mvt4g.models.checkpoints import load_weights
from mvt4g.models.conditioning.plucker import PluckerConditioning
from mvt4g.models.weight_names import to_diffusers
from mvt4g.types import InputError
from tests.models.small_backbones import GRID, ask, loud_backbone, loud_redirector, small_config, small_inputs


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
    assert torch.equal(ask(loaded, **small_inputs()).velocity, ask(trained, **small_inputs()).velocity)
    assert not torch.equal(ask(fresh(), **small_inputs()).velocity, ask(trained, **small_inputs()).velocity)


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
        r"step\.ckpt: got a fit of a DiT of 3 blocks x 48, 5 channels in with ReCamMaster's camera inputs; want "
        r"weights of this ReCamMaster: 1 missing: dit\.blocks\.0\.self_attn\.q\.bias; "
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


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_file_without_a_dit_is_refused(wrapped, tmp_path):
    state = {"net.weight": torch.zeros(1)}
    torch.save({"state_dict": state} if wrapped else state, tmp_path / "odd.pth")
    with pytest.raises(InputError, match=r"odd\.pth: got 1 tensors, the first 'net\.weight'; want a Wan2\.1 DiT"):
        fresh(weights=tmp_path / "odd.pth")


def dit_weights(backbone, *but):
    """A backbone's DiT as published: without what belongs to it alone, or parts that are not wanted."""
    state = backbone.dit.state_dict().items()
    return {name: value for name, value in state if not set(name.split(".")) & {*but}}


def assert_loaded(backbone, state, fresh_parts=()):
    """Every weight of ``state`` is in the backbone's DiT, and nothing else but the fresh parts."""
    loaded = backbone.dit.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())
    assert {part for name in loaded.keys() - state.keys() for part in name.split(".")} >= {*fresh_parts}
    assert all(set(name.split(".")) & {*fresh_parts} for name in loaded.keys() - state.keys())


@pytest.mark.parametrize("names", ["wan", "prefixed", "diffusers"])
def test_wan_is_the_start_of_a_recammaster(names, trained, tmp_path):
    """Camera inputs stay zero and projectors the identity."""
    state = dit_weights(trained, "cam_encoder", "projector")
    name_there = {"wan": str, "prefixed": "model.diffusion_model.{}".format, "diffusers": to_diffusers}[names]
    save_file({name_there(name): value for name, value in state.items()}, tmp_path / "wan.safetensors")
    loaded = fresh(PluckerConditioning(), weights=tmp_path / "wan.safetensors")
    assert_loaded(loaded, state, ("cam_encoder", "projector", "plucker"))
    assert torch.equal(loaded.dit.blocks[1].projector.weight, torch.eye(48))
    assert not loaded.dit.blocks[0].cam_encoder.weight.any()


@torch.no_grad()
def test_recammaster_as_published(trained, tmp_path):
    """The whole DiT in a pickle without a wrapper."""
    state = dit_weights(trained)
    torch.save(state, tmp_path / "step20000.ckpt")
    loaded = fresh(weights=tmp_path / "step20000.ckpt")
    assert_loaded(loaded, state)
    inputs = small_inputs()
    assert torch.equal(ask(loaded, **inputs).velocity, ask(trained, **inputs).velocity)
    del state["blocks.0.projector.bias"]
    torch.save(state, tmp_path / "step20000.ckpt")
    with pytest.raises(InputError, match=r"1 missing: dit\.blocks\.0\.projector\.bias"):
        fresh(weights=tmp_path / "step20000.ckpt")


def fresh_redirector(weights):
    torch.manual_seed(1)
    return ReDirector(loud_redirector().dit.config, GRID, null_text_length=3, weights=weights)


def test_redirector_as_published(tmp_path):
    """Fun-Control-Camera, and over it all that is called self_attn."""
    state = dit_weights(loud_redirector())
    base = {name: value + 1 if ".self_attn." in name else value for name, value in state.items() if "phase" not in name}
    overlay = {name: value for name, value in state.items() if ".self_attn." in name}
    files = tmp_path / "fun.safetensors", tmp_path / "step20000.safetensors"
    save_file(base, files[0])
    save_file(overlay, files[1])
    assert_loaded(fresh_redirector(list(files)), state)
    assert_loaded(fresh_redirector(files[0]), base, PHASES)
    with pytest.raises(InputError, match=r"step20000\.safetensors: got an overlay .* want it after its base"):
        fresh_redirector(files[1])
    with pytest.raises(InputError, match=r"fun\.safetensors: got a DiT of 2 blocks x 48, 10 channels in with "):
        fresh_redirector([files[0], files[0]])
    save_file({name: value for name, value in overlay.items() if "phase_vo" not in name}, files[1])
    with pytest.raises(InputError, match=r"got an overlay without dit\.blocks\.0\.self_attn\.rope_phase_vo\.1\.w"):
        fresh_redirector(list(files))
    save_file(overlay | {"blocks.0.self_attn.r.weight": torch.zeros(1)}, files[1])
    with pytest.raises(InputError, match=r"1 unexpected: dit\.blocks\.0\.self_attn\.r\.weight"):
        fresh_redirector(list(files))


def test_another_model_is_named(trained, tmp_path):
    """Wan2.1 T2V is no base of ReDirector, nor is a ReDirector's base one of ReCamMaster."""
    save_file(dit_weights(trained, "cam_encoder", "projector"), tmp_path / "wan.safetensors")
    with pytest.raises(InputError, match=r"got a DiT of 2 blocks x 48, 5 channels in; want weights of this ReDir"):
        fresh_redirector(tmp_path / "wan.safetensors")
    save_file(dit_weights(loud_redirector(), *PHASES), tmp_path / "fun.safetensors")
    with pytest.raises(InputError, match=r"with image tokens, a control adapter; want weights of this ReCamMaster: \d"):
        fresh(weights=tmp_path / "fun.safetensors")


def test_a_name_that_diffusers_has_not_is_unexpected(trained, tmp_path):
    state = {to_diffusers(name): value for name, value in dit_weights(trained, "cam_encoder", "projector").items()}
    save_file(state | {"blocks.0.attn1.to_q.lora.weight": torch.zeros(1)}, tmp_path / "wan.safetensors")
    with pytest.raises(InputError, match=r"1 unexpected: dit\.blocks\.0\.attn1\.to_q\.lora\.weight"):
        fresh(weights=tmp_path / "wan.safetensors")
