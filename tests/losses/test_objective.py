"""What trained systems know of a loss on taps."""

from functools import partial

import pytest
import torch

from mvt4g.losses.correspondence import CorrespondenceLoss, CorrespondenceObjective
from mvt4g.losses.objective import LossTerms, TapContext, TapObjective
from mvt4g.losses.shrinking_label import ShrinkingLabel
from mvt4g.losses.step_gate import StepGate
from mvt4g.losses.track import TrackObjective
from mvt4g.systems.objective_logs import objective_logs
from mvt4g.types import InputError


def made(**options) -> CorrespondenceObjective:
    return CorrespondenceObjective(TapContext(layer=3), **options)


def test_layers_default_to_the_context_s():
    assert made().layers == (3,)
    assert made(layers=[1, 2]).layers == (1, 2)
    assert made(loss=CorrespondenceLoss(layers=[4])).layers == (4,)
    with pytest.raises(InputError, match=r"objectives\.corr\.layers: got null without a tracking head"):
        CorrespondenceObjective(TapContext())


def test_the_weight_falls_with_the_steps():
    objective = made(weight=0.5, steps=StepGate(fall_from=2, fall_to=4))
    assert [objective.weight_at(step) for step in range(6)] == [0.5, 0.5, 0.5, 0.25, 0.0, 0.0]


def test_the_label_shrinks_with_the_steps():
    """Halfway between 2 and 0.5, by equal factors, lies 1."""
    objective = made(loss=CorrespondenceLoss(label="gaussian"), shrink=ShrinkingLabel(2.0, 0.5, 10, 20))
    widths = [objective.at(step).loss.label_sigma for step in (0, 10, 15, 20, 99)]
    assert widths == pytest.approx([2.0, 2.0, 1.0, 0.5, 0.5])
    assert objective.loss.label_sigma == 1.0, "what the steps are asked of stays as it is"
    assert made().at(7).loss.label == "hard"


@pytest.mark.parametrize("bad", [{"end": 3.0}, {"shrink_to": 0}, {"start": 0.0}, {"start": float("nan")}])
def test_a_label_that_does_not_shrink_is_refused(bad):
    with pytest.raises(InputError, match=r"^shrink"):
        ShrinkingLabel(**bad)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (partial(made, weight=-1.0), "objectives.corr.weight: got -1.0"),
        (partial(made, layers=[]), "objectives.corr.layers: got none"),
        (partial(made, shrink=ShrinkingLabel()), "objectives.corr.shrink: got one for a hard label"),
        (partial(TrackObjective, TapContext(layer=3)), "got a TrackObjective without tracking_head"),
    ],
)
def test_what_makes_no_sense_is_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()


def test_an_objective_needs_a_loss():
    class Nothing(TapObjective):
        name = "nothing"

    with pytest.raises(InputError, match="Nothing: got a class without __call__"):
        Nothing((0,))


def test_an_objective_needs_a_name():
    class Nameless(CorrespondenceObjective):
        name = None

    with pytest.raises(InputError, match="objectives: got Nameless without a name"):
        Nameless(TapContext(layer=3))


def test_an_objective_says_a_value_for_every_clip(without_shape_hook):
    """One value of the whole batch would be weighed by every clip's gate, and no one would see it."""
    ones, none = torch.ones(2), torch.zeros(2, dtype=torch.bool)
    LossTerms(ones, {"near": ones}, {"near": ones}, none).check("x", 2)
    for terms, says in (
        (LossTerms(ones.mean(), {}, {}, none), r"objectives\.x: got a total of shape \(\), want \(2,\)"),
        (LossTerms(ones, {"near": ones.mean()}, {"near": ones}, none), r"got part near of shape \(\)"),
        (LossTerms(ones, {"near": ones}, {}, none), r"got parts \['near'\] and counts \[\]"),
    ):
        with pytest.raises(InputError, match=says):
            terms.check("x", 2)


def test_logs_by_hand():
    """Means over the clips that have a term; each says over how many."""
    terms = LossTerms(
        total=torch.tensor([1.0, 3.0, 0.0]),
        parts={"near": torch.tensor([2.0, 4.0, 0.0]), "far": torch.zeros(3)},
        counts={"near": torch.tensor([5.0, 1.0, 0.0]), "far": torch.zeros(3)},
        empty=torch.tensor([False, False, True]),
    )
    found = objective_logs("x", terms, torch.tensor([0.1, 0.9, 0.9]), ("a/0", "b/0", "a/1"))
    assert {key: (float(mean.value), mean.clips) for key, mean in found.items()} == {
        "train/loss_x": (pytest.approx(4 / 3), 3),
        "train/empty_x": (pytest.approx(1 / 3), 3),
        "train/loss_x/near": (3.0, 2),
        "train/loss_x/sigma_0.00_0.25": (1.0, 1),
        "train/loss_x/sigma_0.75_1.00": (3.0, 1),
        "train/loss_x/a": (1.0, 1),
        "train/loss_x/b": (3.0, 1),
    }
