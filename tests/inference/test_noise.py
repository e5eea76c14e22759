"""Draws are a function of their key, and of nothing else."""

import torch

from mvt4g.inference.noise import clip_noise, generator_for, name_key


def numbers(*key: int) -> torch.Tensor:
    return torch.rand(4, generator=generator_for(*key))


def test_the_key_alone_decides():
    first = numbers(0, 5, 1, 2)
    torch.rand(100)
    assert torch.equal(numbers(0, 5, 1, 2), first)


def test_keys_that_differ_anywhere_draw_differently():
    keys = [(1, 2, 3, 4), (2, 1, 3, 4), (1, 2, 4, 3), (1, 2, 3, 5), (-1, 2, 3, 4), (1, 2, 3)]
    assert len({tuple(numbers(*key).tolist()) for key in keys}) == len(keys)


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    clip_noise(["a"], 0, (3,), torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), before)


def test_name_key_is_crc_32():
    assert name_key("123456789") == 0xCBF43926  # the check value of the algorithm


def test_noise_follows_the_name():
    together = clip_noise(["a", "b", "c"], 7, (16, 2, 4, 4), torch.device("cpu"))
    apart = [clip_noise([name], 7, (16, 2, 4, 4), torch.device("cpu"))[0] for name in ("c", "a", "b")]
    assert torch.equal(together, torch.stack([apart[1], apart[2], apart[0]]))
    other_seed = clip_noise(["a"], 8, (16, 2, 4, 4), torch.device("cpu"))[0]
    assert not torch.equal(together[0], other_seed)
    assert abs(together.mean()) < 0.1
    assert abs(together.std() - 1) < 0.1
