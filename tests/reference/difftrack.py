"""DiffTrack's own arithmetic, mistakes included: what the package's scores must not be.

Source: cvlab-kaist/DiffTrack at ab8cd1e.
"""

from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import interpolate

from mvt4g.metrics.functional.tracks import pck


def difftrack_read_cells(
    query_cells: Int[Tensor, "*b 2"], height: int, width: int
) -> tuple[Int[Tensor, " *b"], Int[Tensor, " *b"]]:
    """Return the row and column of the token that DiffTrack reads attention and confidence of: x taken for the row.

    Args:
        query_cells: (column, row) of the query's own token.
        height: Rows of tokens; where x is larger, the last row is read.
        width: Columns of tokens.
    """
    return query_cells[..., 0].clamp(max=height - 1), query_cells[..., 1].clamp(max=width - 1)


def difftrack_tracks(match_cells: Float[Tensor, "f q 2"], stride: int, num_frames: int) -> Float[Tensor, "t q 2"]:
    """Return the tracks that DiffTrack scores: tokens by their corner, at times that are not the latents'.

    Args:
        match_cells: (column, row) at latent frames; DiffTrack interpolates them between tokens, so they may be
            fractions.
        stride: Pixels a token covers on each side.
        num_frames: Video frames; of 49, latent 1 and 2 belong to frames 4 and 8, which get latent times 0.69 and 1.76.
    """
    corners = rearrange(match_cells * stride, "f q xy -> xy q f")
    stretched = interpolate(corners, size=num_frames, mode="linear", align_corners=False)
    return rearrange(stretched, "xy q t -> t q xy")


def difftrack_matching_accuracy(
    match_cells: Float[Tensor, "f q 2"],
    target: Float[Tensor, "t q 2"],
    visible: Bool[Tensor, "t q"],
    stride: int,
    threshold_px: float | int = 8.0,
) -> Float[Tensor, ""]:
    """Return DiffTrack's matching accuracy in percent: PCK over all video frames, the query's own among them.

    Args:
        match_cells: As ``difftrack_tracks``.
        target: True pixels at video frames.
        visible: True where seen.
        stride: Pixels a token covers on each side.
        threshold_px: Strict; 8 at 480x720.
    """
    return 100 * pck(difftrack_tracks(match_cells, stride, len(target)), target, visible, threshold_px)


def difftrack_confidence(
    peak: Float[Tensor, "f q"], visible: Bool[Tensor, "f q"], query_visible: Bool[Tensor, " q"]
) -> Float[Tensor, ""]:
    """Return DiffTrack's confidence: points that are never seen count as 0.

    Args:
        peak: Largest attention of every query in each other latent frame.
        visible: Seen in all video frames of the latent.
        query_visible: Seen where it is queried.
    """
    kept = visible & query_visible
    return ((peak * kept).sum(dim=0) / kept.sum(dim=0).clamp(min=1)).mean()
