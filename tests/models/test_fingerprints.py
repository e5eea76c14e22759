import torch

from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.fingerprints import KNOWN, fingerprint, looks_like
from mvt4g.models.video_dit import VideoDiT, VideoDiTConfig
from mvt4g.models.weight_names import to_diffusers
from mvt4g.types import LatentGrid
from tests.models.small_backbones import loud_redirector


def test_a_fingerprint_by_hand():
    """md5 of "a,a:2_3,b,b:4", computed outside."""
    assert fingerprint({"b": torch.zeros(4), "a": torch.zeros(2, 3)}) == "b677ec6522c6cb6bc127973ef41d5353"
    assert fingerprint({"b": torch.zeros(4), "a": torch.zeros(3, 2)}) != "b677ec6522c6cb6bc127973ef41d5353"


def test_public_checkpoints_are_known_by_name():
    with torch.device("meta"):
        wan, fun = VideoDiT(VideoDiTConfig.wan_1_3b()), VideoDiT(VideoDiTConfig.wan_fun_camera_1_3b())
        recammaster = ReCamMaster(VideoDiTConfig.wan_1_3b(), LatentGrid(4, 8, 16)).dit
    state = wan.state_dict()
    assert looks_like(state) == "Wan2.1 T2V 1.3B"
    assert looks_like({to_diffusers(name): value for name, value in state.items()}).endswith("in diffusers' names")
    assert looks_like(fun.state_dict()) == "Wan2.1-Fun-V1.1 1.3B Control-Camera"
    assert looks_like(recammaster.state_dict()) == "ReCamMaster on Wan2.1 T2V 1.3B"
    del state["head.head.bias"]
    assert looks_like(state) == "a DiT of 30 blocks x 1536, 16 channels in"


def test_others_are_described():
    told = looks_like(loud_redirector(plucker=True).state_dict())
    parts = "image tokens, a control adapter, ReDirector's phases, Plücker inputs"
    assert told == f"a DiT of 2 blocks x 48, 10 channels in with {parts}"
    assert looks_like({"net.weight": torch.zeros(1)}) == "1 tensors, the first 'net.weight'"
    assert len(KNOWN) == len(set(KNOWN.values()))
