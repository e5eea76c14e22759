"""Named axes of arrays whose shapes must agree, as "v t n 2": names and numbers with spaces between."""

from collections.abc import Sequence


def bind_axes(axes: str, shape: Sequence[int], sizes: dict[str, int]) -> bool:
    """Say whether a shape has these axes; the size of a name that is met for the first time is entered.

    Args:
        axes: "" stands for a single number.
        shape: Of an array.
        sizes: By name; left as it is where the shape does not fit.
    """
    names = axes.split()
    if len(names) != len(shape):
        return False
    met = dict(sizes)
    for name, size in zip(names, shape, strict=True):
        want = int(name) if name.isdigit() else met.setdefault(name, size)
        if size != want:
            return False
    sizes.update(met)
    return True
