import dataclasses

import numpy as np
import pytest
from PIL import Image

from mvt4g.synthetic.bitmaps import unpack
from mvt4g.synthetic.look_spec import LookSpec, TexturedSpec
from mvt4g.synthetic.photos import list_photos, read_photo, texture_bitmap
from mvt4g.synthetic.shapes import Shape
from mvt4g.synthetic.world import draw_world
from mvt4g.types import InputError


def save(path, colour, size=(40, 20)):
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def test_images_are_listed_by_name_and_read_as_squares(tmp_path):
    wide = save(tmp_path / "b.png", (0, 255, 0))
    save(tmp_path / "below" / "a.jpg", (255, 0, 0))
    (tmp_path / "notes.txt").write_text("no image")
    assert list_photos(str(tmp_path)) == (str(wide), str(tmp_path / "below" / "a.jpg"))
    bitmap = unpack(read_photo(str(wide), 16))
    np.testing.assert_array_equal(bitmap, np.broadcast_to(np.array([0, 1, 0])[:, None, None], (3, 16, 16)))


def test_the_middle_of_an_image_is_used(tmp_path):
    image = np.zeros((20, 60, 3), dtype=np.uint8)
    image[:, 20:40] = 255
    Image.fromarray(image).save(tmp_path / "stripe.png")
    assert unpack(read_photo(str(tmp_path / "stripe.png"), 8)).min() == 1
    assert unpack(texture_bitmap(image, 8)).mean() == pytest.approx(1 / 3, abs=0.01)  # a mesh's own is used whole


def test_broken_images_name_the_file(tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no jpeg")
    with pytest.raises(InputError, match=r"broken\.jpg: cannot be read as an image"):
        read_photo(str(broken), 8)
    cut = save(tmp_path / "cut.png", (9, 9, 9), (400, 400))
    cut.write_bytes(cut.read_bytes()[:120])
    with pytest.raises(InputError, match=r"cut\.png: cannot be read as an image"):
        read_photo(str(cut), 8)
    with pytest.raises(InputError, match=r"missing\.png"):
        read_photo(str(tmp_path / "missing.png"), 8)


def test_folders_without_images_are_refused(tmp_path):
    with pytest.raises(InputError, match="got no image, want"):
        list_photos(str(tmp_path))
    with pytest.raises(InputError, match="got no folder"):
        list_photos(str(tmp_path / "nowhere"))
    outside = save(tmp_path / "out" / "side.png", (1, 2, 3))
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "link.png").symlink_to(outside)
    with pytest.raises(InputError, match=r"link\.png: got a link to outside"):
        list_photos(str(inside))


def test_the_choice_hangs_on_the_stream_alone(tmp_path):
    for number in range(6):
        save(tmp_path / f"{number}.png", (40 * number, 255 - 40 * number, 128))
    looks = LookSpec(textured=TexturedSpec(images=str(tmp_path), image_share=1.0, object_texels=8, ground_texels=8))
    shapes = [Shape("box", (0.5, 0.5, 0.5))] * 5

    def means(seed, looks=looks):
        return draw_world(np.random.default_rng(seed), shapes, looks).atlas.means[2:]

    np.testing.assert_array_equal(means(0), means(0))
    assert np.abs(means(0) - means(1)).max() > 0.05
    assert len(np.unique(means(0), axis=0)) > 1
    patterns = dataclasses.replace(looks, textured=dataclasses.replace(looks.textured, image_share=0.0))
    assert np.abs(means(0, patterns) - means(0)).max() > 0.05
