"""How a program turns a picture of its source into one of its output: the rules of several, as one framing each."""

from dataclasses import dataclass

from mvt4g.geometry.framing import FitSpec, Framing, Window
from mvt4g.types import InputError

_SAID = {
    "cover": "resized to cover {size}, keeping its shape, and cut to the centre",
    "cover_down": "resized to cover {size}, sides rounded down, and cut to the centre",
    "cut_first": "cut to the shape of {size} about the centre, then resized",
    "squeeze": "squeezed to {size}, whatever its shape",
    "squeeze_cut": "squeezed to {through}, of which the centre {size} is kept",
}


@dataclass(frozen=True)
class CropRule:
    """A picture of any size becomes one of the output's.

    Attributes:
        way: "cover": resized until it just covers the output, sides rounded, and cut to the centre (ReCamMaster,
            ReDirector, FlashRender, ours). "cover_down": the same with sides rounded down (NeoVerse). "cut_first": cut
            to the output's shape, then resized (Vista4D). "squeeze": both sides resized to the output's
            (TrajectoryCrafter, CogNVS). "squeeze_cut": squeezed to ``through``, then cut to the centre (GEN3C).
        through: (height, width) in between, for "squeeze_cut".
    """

    way: str = "cover"
    through: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Check the rule.

        Raises:
            InputError: If the way is unknown, or ``through`` is missing where it is needed or given where it is not.
        """
        if self.way not in _SAID:
            raise InputError(f"crop.way: got {self.way!r}, want one of {', '.join(_SAID)}")
        if (self.way == "squeeze_cut") != (self.through is not None):
            want = "[height, width]" if self.way == "squeeze_cut" else "none"
            raise InputError(f"crop.through: got {self.through} for {self.way!r}, want {want}")

    def framing(self, source: tuple[int, int], size: tuple[int, int]) -> Framing:
        """Return what is done to a picture of the source.

        Args:
            source: (height, width) of the source.
            size: (height, width) of the output.
        """
        whole = Window(0, 0, *source)
        if self.way == "squeeze":
            return Framing(source, size, whole, size)
        if self.through is not None:
            return Framing(source, size, whole, self.through, _centre(self.through, size))
        if self.way == "cover_down":
            scale = max(size[0] / source[0], size[1] / source[1])
            resized = (int(source[0] * scale), int(source[1] * scale))
            return Framing(source, size, whole, resized, _centre(resized, size))
        if self.way == "cut_first":
            return Framing(source, size, _of_shape(source, size), size)
        return FitSpec("cover").framing(source, size)

    def sentence(self, size: tuple[int, int] | None) -> str:
        """Say the rule in words.

        Args:
            size: (height, width) of the output; None = it depends.
        """
        texts = {"size": _text(size), "through": _text(self.through)}
        return f"the source is {_SAID[self.way].format(**texts)}"


def _centre(resized: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    return (resized[0] - size[0]) // 2, (resized[1] - size[1]) // 2


def _of_shape(source: tuple[int, int], size: tuple[int, int]) -> Window:
    """Return the largest centred window of the source that has the output's shape, sides rounded down."""
    (height, width), (wanted_height, wanted_width) = source, size
    if height / width > wanted_height / wanted_width:
        height = int(width * wanted_height / wanted_width)
    else:
        width = int(height * wanted_width / wanted_height)
    return Window((source[0] - height) // 2, (source[1] - width) // 2, height, width)


def _text(size: tuple[int, int] | None) -> str:
    return "the output's size" if size is None else f"{size[1]}x{size[0]}"
