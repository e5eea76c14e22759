"""Settings refuse what makes no sense, naming the option."""

import pytest

from mvt4g.evaluation.spec import EvaluationSpec
from mvt4g.models.layers.lora import LoRASpec
from mvt4g.systems.settings import TrainingSpec
from mvt4g.types import InputError


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"num_queries": 0}, "num_queries: got 0, want at least 1"),
        ({"warmup_steps": -1}, "warmup_steps: got -1, want at least 0"),
        ({"warmup_steps": 10, "decay_steps": 10}, "decay_steps: got 10, want more than warmup_steps = 10"),
        ({"lora": LoRASpec()}, r"trainable: got null with lora, want what trains, such as \[lora_, tracking_head\]"),
    ],
)
def test_training(values, says):
    with pytest.raises(InputError, match=f"^training.{says}$"):
        TrainingSpec(**values)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"noise_levels": ()}, r"noise_levels: got \(\), want"),
        ({"noise_levels": (0.5, 1.0)}, r"noise_levels: got \(0.5, 1.0\), want"),
        ({"noise_levels": (0.0, 0.5)}, r"noise_levels: got \(0.0, 0.5\), want"),
        ({"noise_levels": (0.5, 0.501)}, r"noise_levels: got \(0.5, 0.501\), want"),
        ({"noise_levels": (0.3,)}, r"headline: got 0.5, want one of \(0.3,\)"),
        ({"sample_steps": -1}, "sample_steps: got -1, want at least 0"),
        ({"num_queries": 0}, "num_queries: got 0, want at least 1"),
    ],
)
def test_evaluation(values, says):
    with pytest.raises(InputError, match=f"^evaluation.{says}"):
        EvaluationSpec(**values)


def test_what_switches_parts_off_is_allowed():
    TrainingSpec(warmup_steps=0, decay_steps=1)
    EvaluationSpec(noise_levels=(0.5,), sample_steps=0)
