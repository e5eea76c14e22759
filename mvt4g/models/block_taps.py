"""What blocks of a transformer hand out, queries and keys, and what late ones leave for later evaluations."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from mvt4g.diffusion.samplers import BlockReuse
from mvt4g.models.layers.attention import QueryKey, ScoreMod


class KeptBlocks:
    """Says in each evaluation of a sampling whether late blocks run, and holds what they added when they ran last.

    It serves one pass (with text, or without) of one sampling.

    Args:
        reuse: Which blocks, and how often they run.
    """

    def __init__(self, reuse: BlockReuse) -> None:
        self.first = reuse.first
        self._every = reuse.every
        self._since = 0
        self._added: Tensor | None = None
        self._before: Tensor | None = None

    def begin(self, whole: bool) -> None:
        """Begin an evaluation.

        Args:
            whole: All blocks run in it, whatever the plan says: their taps are wanted.
        """
        self._since += 1
        if whole or self._since >= self._every:
            self._added = None

    def reached(self, layer: int, tokens: Float[Tensor, "b n h w d"]) -> Float[Tensor, "b n h w d"] | None:
        """Return the tokens behind all blocks, without the late ones; None = blocks are to run.

        Args:
            layer: The block to run next.
            tokens: Before it, those that go on behind the last block.
        """
        if layer != self.first:
            return None
        if self._added is not None:
            return tokens + self._added
        self._before = tokens
        return None

    def keep(self, tokens: Float[Tensor, "b n h w d"]) -> None:
        """Keep what the late blocks have added, all of which have run.

        Args:
            tokens: Behind the last block.
        """
        assert self._before is not None, "blocks run from the first on"
        self._added = tokens - self._before
        self._before = None
        self._since = 0


def _nobody(layer: int, tap: QueryKey) -> None:
    """Take nothing."""


@dataclass(frozen=True)
class BlockTaps:
    """What is asked of single blocks in one forward: which hand out queries and keys, which run, which are led.

    Attributes:
        layers: 0-based.
        take: Takes (layer, queries and keys) as soon as the block has run.
        stop_after: Nothing runs beyond the last of ``layers``, of which queries and keys alone are made.
        kept: Says whether late blocks run; None = they do.
        biases: By block, what is added to the logits of its self-attention; see ``SelfAttention.forward``.
    """

    layers: Collection[int] = ()
    take: Callable[[int, QueryKey], None] = _nobody
    stop_after: bool = False
    kept: KeptBlocks | None = None
    biases: Mapping[int, Float[Tensor, "b k joint_f h w cells"] | ScoreMod] = field(default_factory=dict)
