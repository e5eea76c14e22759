"""Large blocks go back to the system when they are freed, also where small ones that live on lie between them."""

import platform
import subprocess
import sys

import pytest

_MIB_HELD = """
import ctypes, sys
from mvt4g.benchmark.memory import give_back_large_blocks

if sys.argv[1] == "given back":
    assert give_back_large_blocks()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.free.argtypes = [ctypes.c_void_p]

def filled(size):
    place = library.malloc(size)
    ctypes.memset(ctypes.c_void_p(place), 1, size)
    return place

library.free(filled(30 << 20))
large = []
for _ in range(10):
    large.append(filled(8 << 20))
    filled(100 << 10)
for place in large:
    library.free(place)
(held,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")]
print(int(held) // 1024)
"""


def mib_held(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _MIB_HELD, how], capture_output=True, text=True, check=True, timeout=60
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has rules of its own")
def test_eighty_mib_of_large_blocks_are_given_back():
    assert mib_held("given back") < mib_held("kept") - 60
