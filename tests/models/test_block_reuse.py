"""Late blocks that stand still in some evaluations of a sampling: which run, and what comes out."""

import pytest
import torch

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.diffusion.samplers import BlockReuse, EulerSampler
from mvt4g.inference.generation_spec import GenerationSpec
from mvt4g.models.backbone import NovelViewBackbone
from mvt4g.models.codec import PatchCodec
from mvt4g.models.novel_view import NovelViewModel, SamplingGuidance
from mvt4g.types import Conditions, InputError, TapRequest
from tests.models.small_backbones import loud_backbone, relative_difference, small_inputs

STEPS = 5


def small_model() -> NovelViewModel:
    backbone = loud_backbone(num_layers=3)
    codec = PatchCodec()
    codec.grid = backbone.grid
    return NovelViewModel(backbone, codec, FlowMatching(shift=1.0)).requires_grad_(False)


def sample(model: NovelViewModel, reuse: BlockReuse | None, guidance=SamplingGuidance(), taps=None, text=False):
    """Return the latents, and the blocks that ran, evaluation by evaluation."""
    inputs = small_inputs()
    sampler = EulerSampler(STEPS)
    if reuse is not None:
        sampler.reuse = reuse
    ran: list[list[int]] = []

    def note(layer: int):
        return lambda *_: ran[-1].append(layer)

    hooks = [model.backbone.register_forward_pre_hook(lambda *_: ran.append([]))]
    for layer, block in enumerate(model.backbone.dit.blocks):
        hooks.append(block.register_forward_hook(note(layer)))
    conditions = Conditions(inputs["text"] if text else None)
    made = model.generate(
        inputs["reference_latents"], inputs["cameras"], inputs["target_latents"], sampler, conditions, guidance, taps
    )
    for hook in hooks:
        hook.remove()
    return made, ran


ALL = [0, 1, 2]


def test_of_every_so_many_evaluations_one_runs_all_blocks():
    _, ran = sample(small_model(), BlockReuse(first=1, every=3))
    assert ran == [ALL, [0], [0], ALL, [0]]


def test_evaluations_with_taps_run_all_blocks_and_what_they_add_is_kept():
    taps = {1: TapRequest((2,)), -1: TapRequest((0,))}
    made, ran = sample(small_model(), BlockReuse(first=2, every=3), taps=taps)
    assert ran == [ALL, ALL, [0, 1], [0, 1], ALL]
    assert set(made.taps) == {0, 2}


def test_both_passes_of_guidance_have_their_own_plan():
    """Guidance begins in the third evaluation: the pass without text has nothing kept then."""
    guidance = SamplingGuidance(3.0, None, low=0.0, high=0.7)
    _, ran = sample(small_model(), BlockReuse(first=1, every=2), guidance, text=True)
    with_text, without = [ALL, [0], ALL, [0], ALL], [ALL, [0], ALL]
    assert ran == [*with_text[:2], with_text[2], without[0], with_text[3], without[1], with_text[4], without[2]]


@torch.no_grad()
def test_the_kept_change_is_added_to_what_the_early_blocks_make():
    """Against the same by hand: blocks run one after the other, outside of the network's own loop."""
    model, inputs = small_model(), small_inputs()
    dit = model.backbone.dit
    _, frames = inputs["target_latents"].shape[1:3]
    inner: list[torch.Tensor] = []
    outer: list[torch.Tensor] = []
    dit.blocks[0].register_forward_hook(lambda module, given, out: inner.append(out[0][:, :frames]))
    dit.head.register_forward_pre_hook(lambda module, given: outer.append(given[0]))
    sample(model, BlockReuse(first=1, every=2))
    added = outer[0] - inner[0]
    assert torch.equal(outer[1], inner[1] + added)
    assert relative_difference(outer[2] - inner[2], added) > 1e-3, "later levels add something else"


def test_without_reuse_nothing_changes_and_with_it_something_does():
    model = small_model()
    plain, ran = sample(model, None)
    assert ran == [ALL] * STEPS
    # All blocks run in all evaluations: bit for bit the same, on the path that keeps what they add.
    whole = {step: TapRequest((0,)) for step in range(STEPS)}
    kept, _ = sample(model, BlockReuse(first=1, every=2), taps=whole)
    assert torch.equal(kept.latents, plain.latents)
    reused, _ = sample(model, BlockReuse(first=1, every=2))
    assert relative_difference(reused.latents, plain.latents) > 1e-4


def test_what_cannot_be_reused_is_refused():
    model = small_model()
    with pytest.raises(InputError, match=r"evaluation\.reuse\.first: got 3, want 1 to 2"):
        sample(model, BlockReuse(first=3))
    model.backbone.keeps_blocks = False
    with pytest.raises(InputError, match=r"evaluation\.reuse: got some for ReCamMaster, which keeps no blocks"):
        sample(model, BlockReuse(first=1))
    for bad in ({"first": 0}, {"first": 1, "every": 1}):
        with pytest.raises(InputError, match=r"evaluation\.reuse\."):
            BlockReuse(**bad)
    assert NovelViewBackbone.keeps_blocks is False


def test_the_option_reaches_the_sampler():
    spec = GenerationSpec(sample_steps=3, reuse=BlockReuse(first=2, every=4))
    assert spec.build_sampler().reuse == BlockReuse(2, 4)
    assert GenerationSpec(sample_steps=3).build_sampler().reuse is None
    assert EulerSampler.reuse is None
