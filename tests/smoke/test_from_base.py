"""The base that the package ships refuses another model; test_configs.py fine-tunes it for a step."""

import pytest

from tests.smoke.test_configs import SHORT

FROM_BASE = ("-c", "configs/experiment/from_base.yaml")


@pytest.mark.parametrize(
    ("odd", "says"),
    [
        (("--model.init_args.flow.prediction=velocity",), "got weights made with prediction 'sample', want 'velocity'"),
        (("--model.init_args.backbone.init_args.dit.num_heads=2",), "made with num_heads '4', want '2'"),
        (("--model.init_args.backbone.init_args.dit.dim=64",), "want weights of this ReCamMaster"),
        (("--model.init_args.backbone.init_args.weights=builtin:small",), "got builtin:small, want builtin:tiny"),
    ],
)
def test_a_model_that_is_not_the_base_s_is_one_line(mvt4g, tmp_path, capsys, odd, says):
    assert mvt4g("fit", *FROM_BASE, "--run", tmp_path / "run", *SHORT, *odd) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert says in told[0]
    assert not (tmp_path / "run" / "checkpoints").exists()
