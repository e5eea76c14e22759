"""A backbone against its slow twin of ``tests/reference``: its prediction, and queries and keys of every layer."""

import numpy as np
import torch
from einops import rearrange

from tests.models.small_backbones import ask, relative_difference

TOLERANCE = 1e-5


def by_twin(twin, backbone, inputs, clip):
    """Return the velocity of one clip and the queries and keys of every layer, float64."""

    def plain(tensor):
        return tensor.detach().double().numpy()

    cameras = inputs["cameras"]
    given = [plain(inputs[name][clip]) for name in ("target_latents", "reference_latents")]
    given += [inputs["timestep"][clip].item()]
    given += [plain(cameras.cam_from_world[clip]), plain(cameras.intrinsics[clip])]
    given += [plain(backbone.null_text[0] if inputs["text"] is None else inputs["text"][clip])]
    if "image" in inputs:
        width = backbone.dit.config.image_dim
        given += [np.zeros((1, width)) if inputs["image"] is None else plain(inputs["image"][clip])]
    weights = {name: plain(value) for name, value in backbone.state_dict().items()}
    return twin.forward(weights, backbone.dit.config, backbone.grid, *given)


@torch.no_grad()
def check_against_twin(twin, backbone, inputs):
    output = ask(backbone, **inputs, tap_layers=range(backbone.num_layers))
    for clip in range(len(inputs["timestep"])):
        velocity, taps = by_twin(twin, backbone, inputs, clip)
        assert relative_difference(output.velocity[clip].double(), torch.from_numpy(velocity)) < TOLERANCE
        assert len(taps) == backbone.num_layers
        for layer, (query, key) in enumerate(taps):
            for got, want in ((output.taps[layer].query, query), (output.taps[layer].key, key)):
                in_token_order = rearrange(got[clip].flip(0), "v f h w k d -> (v f h w) (k d)")
                assert relative_difference(in_token_order.double(), torch.from_numpy(want)) < TOLERANCE
