"""Ways to break files."""

import shutil

import numpy as np


def cut(name):
    """Keep the first half of a file."""

    def spoil(folder):
        path = folder / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return spoil


def swap(one, other):
    def spoil(folder):
        kept = (folder / one).read_bytes()
        (folder / one).write_bytes((folder / other).read_bytes())
        (folder / other).write_bytes(kept)

    return spoil


def copy_over(one, other):
    return lambda folder: shutil.copy(folder / one, folder / other)


def change_entry(name, key, change):
    """Change one entry of a dict in an object .npy; Ellipsis drops it."""

    def spoil(folder):
        content = np.load(folder / name, allow_pickle=True).item()
        value = change if change is ... else change(content[key])
        if value is ...:
            del content[key]
        else:
            content[key] = value
        np.save(folder / name, content, allow_pickle=True)

    return spoil


def with_nan(values):
    values = values.astype(np.float64)
    values.flat[7] = np.nan
    return values
