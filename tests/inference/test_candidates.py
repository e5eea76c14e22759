"""The best of several seeds: what drafts are, what they cost, and that the kept video is that of its seed alone."""

import math
from dataclasses import replace

import pytest
import torch

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.diffusion.samplers import EulerSampler, HeunSampler
from mvt4g.evaluation.real_video import RealVideoPass
from mvt4g.evaluation.spec import EvaluationSpec
from mvt4g.inference import NovelViewGenerator
from mvt4g.inference.candidates import Candidate, CandidateChooser, DraftSampler, DraftSpec, grid_queries
from mvt4g.inference.generation_spec import GenerationSpec
from mvt4g.inference.guidance import Guidance, GuidanceSpec
from mvt4g.inference.view_pass import GenerationWay, generate_view
from mvt4g.inference.window_spec import WindowSpec
from mvt4g.types import InputError, MultiViewClip
from tests.evaluation.test_real_video import FRAMES, SIZE, build, real  # noqa: F401  # a fixture
from tests.models.small_backbones import small_cameras

STEPS = 3


@pytest.fixture(scope="module")
def model():
    return build(head=True)


def clip(batch: int = 1) -> MultiViewClip:
    """Return the first clips of two."""
    video = torch.rand(2, 1, FRAMES, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    cameras = small_cameras(batch=2, frames=FRAMES)
    return MultiViewClip(video=video[:batch], cameras=cameras[:batch], name=("clip-0", "clip-1")[:batch])


def made(model, seed: int, count: int = 1, batch: int = 1, **drafts):
    spec = GenerationSpec(STEPS, candidates=count, drafts=DraftSpec(**drafts))
    guidance = Guidance(GuidanceSpec(), model.backbone.text_shape)
    with torch.no_grad():
        sampler = spec.build_sampler()
        way = GenerationWay(sampler, guidance, chooser=spec.build_chooser(model, sampler))
        return generate_view(model, clip(batch), None, way, seed)


@pytest.mark.parametrize("sampler", [EulerSampler, HeunSampler])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_draft_is_the_clean_video_of_a_straight_path(sampler, steps):
    generator = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(2, 3, 4, generator=generator) for _ in range(2))
    drafted = DraftSampler(sampler(4), steps)
    calls = []

    def velocity(latents, sigma, step):
        calls.append(step)
        return noise - clean

    found = drafted.run(velocity, noise, drafted.sigmas(FlowMatching(shift=3.0)))
    torch.testing.assert_close(found, clean, atol=1e-5, rtol=0)
    assert set(calls) == set(range(steps)), "no step after the draft's is evaluated"


def test_candidates_cost_their_drafts_and_one_video(model, monkeypatch):
    calls = []
    forward = type(model.backbone).forward
    monkeypatch.setattr(type(model.backbone), "forward", lambda *a, **k: calls.append(1) or forward(*a, **k))
    for count, steps, cost in ((1, 1, STEPS), (3, 1, 3 + STEPS), (2, 2, 4 + STEPS)):
        calls.clear()
        made(model, 0, count, steps=steps)
        assert len(calls) == cost


@pytest.mark.parametrize(
    ("count", "sample_steps", "steps"), [(4, 8, 2), (4, 4, 1), (4, 10, 3), (2, 8, 4), (4, 50, 15), (8, 5, 1)]
)
def test_drafts_have_the_most_steps_that_the_budget_allows(count, sample_steps, steps):
    """The last: not even one step is within it."""
    assert DraftSpec().steps_for(count, sample_steps) == steps
    assert DraftSpec(steps=3).steps_for(count, sample_steps) == 3
    if (count, sample_steps) != (8, 5):
        assert count * steps + sample_steps <= 2.2 * sample_steps < count * (steps + 1) + sample_steps


@pytest.mark.parametrize("score", ["epipolar_colour", pytest.param("epipolar_px", marks=pytest.mark.slow)])
def test_the_kept_video_is_that_of_its_seed_alone_and_of_the_lowest_score(model, score):
    chosen = made(model, 2, count=3, score=score)
    (choice,) = chosen.choices
    assert [candidate.seed for candidate in choice.candidates] == [6, 7, 8], "no other seed has one of these"
    values = [getattr(candidate, score) for candidate in choice.candidates]
    assert len(set(values)) == 3
    assert choice.kept == values.index(min(values))
    assert torch.equal(chosen.video, made(model, choice.seed).video)
    told = choice.told()
    assert told["kept_seed"] == choice.seed
    assert [entry[score] for entry in told["scores"]] == values


@pytest.mark.slow
def test_clips_of_a_batch_choose_for_themselves(model):
    both = made(model, 0, count=2, batch=2)
    alone = [made(model, choice.seed, batch=2).video[number] for number, choice in enumerate(both.choices)]
    torch.testing.assert_close(both.video, torch.stack(alone), atol=1e-5, rtol=0)
    first = made(model, 0, count=2)
    assert [round(one.epipolar_colour, 5) for one in both.choices[0].candidates] == [
        round(one.epipolar_colour, 5) for one in first.choices[0].candidates
    ]


def test_without_a_score_a_candidate_comes_last_and_json_holds_null():
    from mvt4g.inference.candidates import _best

    some = [Candidate(0, math.nan, 3.0), Candidate(1, 0.2, math.nan), Candidate(2, 0.1, 3.0), Candidate(3, 0.1, 4.0)]
    assert _best(some, "epipolar_colour") == 2, "the first of two"
    assert _best(some, "epipolar_px") == 0
    assert _best([Candidate(5, math.nan, math.nan)] * 2, "epipolar_px") == 0
    assert some[0].told() == {"seed": 0, "epipolar_colour": None, "epipolar_px": 3.0}


def test_the_grid_covers_both_views_and_three_moments():
    queries = grid_queries(5, 24, 32)
    assert queries.shape == (2 * 3 * 64, 4)
    assert queries[:, 1].unique().tolist() == [0.0, 2.0, 4.0]
    assert queries[:, 2].aminmax() == (2.0, 30.0)
    assert queries[:, 3].aminmax() == (1.5, 22.5)
    assert len(grid_queries(1, 24, 32)) == 2 * 64


def test_real_videos_are_chosen_by_the_spec(real):  # noqa: F811
    spec = EvaluationSpec(sample_steps=2, candidates=2)
    model = build(head=True)
    chosen = RealVideoPass(model, spec, layer=1)(real)
    assert chosen.choice is not None
    assert len(chosen.choice.candidates) == 2
    one = replace(spec, candidates=1, seed=chosen.choice.seed)
    alone = RealVideoPass(model, one, layer=1)(real)
    assert alone.choice is None
    assert torch.equal(chosen.video, alone.video)
    assert torch.equal(chosen.tracks.tracks, alone.tracks.tracks)


def test_the_generator_in_python_chooses_too(model):
    known = clip()
    generator = NovelViewGenerator(model, EvaluationSpec(sample_steps=STEPS, candidates=2))
    view = generator.generate(known.video[0, 0], known.cameras[0], name="clip-0")
    (choice,) = made(model, 0, count=2).choices
    assert view.choice == choice
    assert NovelViewGenerator(model).generate(known.video[0, 0], known.cameras[0]).choice is None


def test_what_cannot_be_is_refused():
    bare = build(head=False)
    with pytest.raises(InputError, match=r"drafts\.score: got epipolar_px without a tracking head"):
        CandidateChooser(bare, 2, DraftSpec(score="epipolar_px"), EulerSampler(4))
    with pytest.raises(InputError, match=r"drafts\.steps: got 5, want at most sample_steps, 4"):
        CandidateChooser(bare, 2, DraftSpec(steps=5), EulerSampler(4))
    with pytest.raises(InputError, match=r"evaluation\.candidates: got 0"):
        EvaluationSpec(candidates=0)
    with pytest.raises(InputError, match=r"evaluation\.candidates: got 2 together with windows, want 1"):
        EvaluationSpec(candidates=2, windows=WindowSpec(length=5))
    (choice,) = made(bare, 0, count=2).choices
    assert all(math.isnan(candidate.epipolar_px) for candidate in choice.candidates), "colours need no head"
