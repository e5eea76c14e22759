import torch
from torch.nn import functional as F

from mvt4g.models.layers.patches import Head, PatchEmbedding


def test_patch_embedding_is_its_convolution():
    embed, latents = PatchEmbedding(3, 7, (1, 2, 2)), torch.randn(2, 3, 4, 6, 8)
    want = F.conv3d(latents, embed.weight, embed.bias, stride=(1, 2, 2))
    torch.testing.assert_close(embed(latents), want.movedim(1, -1))


def test_head_puts_channels_fastest():
    head = Head(6, 5, (1, 2, 2), 1e-6)
    with torch.no_grad():
        head.head.weight.zero_()
        head.head.bias.copy_(torch.arange(20.0))
    latents = head(torch.randn(1, 2, 1, 3, 6), torch.randn(1, 6))
    assert latents.shape == (1, 5, 2, 2, 6)
    assert latents[0, :, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert latents[0, :, 1, 0, 3].tolist() == [5, 6, 7, 8, 9]
    assert latents[0, :, 1, 1, 4].tolist() == [10, 11, 12, 13, 14]
