"""Order and gaps of a sequence by the numbers in its files' names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mvt4g.formats.frame_numbers import frame_numbers, frame_places, missing_numbers, natural_key
from mvt4g.formats.images import frame_paths
from mvt4g.types import InputError


@pytest.mark.parametrize(
    ("names", "numbers", "places"),
    [
        (["1.png", "2.png", "3.png"], [1, 2, 3], (0, 1, 2)),
        (["f_0000.jpg", "f_0005.jpg", "f_0010.jpg"], [0, 5, 10], (0, 1, 2)),
        (["f_0000.jpg", "f_0005.jpg", "f_0015.jpg"], [0, 5, 15], (0, 1, 3)),
        (["1.png", "2.png", "4.png"], [1, 2, 4], (0, 1, 3)),
        (["cam3_7.png", "cam3_9.png", "cam3_10.png"], [7, 9, 10], (0, 2, 3)),
        (["1_05.png", "2_06.png"], None, (0, 1)),
        (["a1.png", "b2.png"], None, (0, 1)),
        (["only7.png"], None, (0,)),
        (["1305031102175304.png", "1305031102211214.png", "1305031102275326.png"],
         [1305031102175304, 1305031102211214, 1305031102275326], (0, 1, 2)),
    ],
)  # fmt: skip
def test_numbers_and_places_by_hand(names, numbers, places):
    assert frame_numbers(names) == numbers
    assert frame_places(names) == places
    assert missing_numbers(places) == places[-1] + 1 - len(places)


@given(st.sets(st.integers(0, 12000), min_size=1, max_size=30), st.integers(0, 5))
def test_order_is_that_of_the_numbers_whatever_the_padding(numbers, digits):
    names = [f"frame_{number:0{digits}d}.png" for number in numbers]
    assert sorted(names, key=natural_key) == [f"frame_{number:0{digits}d}.png" for number in sorted(numbers)]


def test_digits_of_other_scripts_are_no_fault():
    assert natural_key("x\u00b2.png") == ((1, 0, "x\u00b2.png"),)
    assert natural_key("\u0663") == ((0, 3, ""),)


@pytest.mark.parametrize("twin", ["01.png", "1.jpg"])
def test_two_files_of_one_frame_are_refused(tmp_path, twin):
    for name in ("1.png", twin, "2.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    with pytest.raises(InputError, match=r"got (1|01)\.(png|jpg) and (1|01)\.(png|jpg), want one file for a frame"):
        frame_paths(tmp_path)
