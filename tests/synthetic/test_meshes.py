import json
import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mvt4g.synthetic.colliders import colliders
from mvt4g.synthetic.meshes import HULL_POINTS, hull_points, list_meshes, read_mesh
from mvt4g.synthetic.object_specs import DroppedObjects
from mvt4g.synthetic.placing import draw_motion
from mvt4g.synthetic.shapes import mesh, mesh_shape
from mvt4g.types import InputError

VERTICES = np.array([[0, 0, 0], [4, 0, 0], [0, 2, 0], [0, 0, 1]], dtype=np.float32)
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], dtype=np.uint32)
TEXCOORDS = np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.9]], dtype=np.float32)
RED, GREEN, BLUE, WHITE = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]
IMAGE = np.array([[RED, GREEN], [BLUE, WHITE]], dtype=np.uint8)
FROM_TOP = np.array([RED, GREEN, BLUE, WHITE])
"""Colours of the four vertices where texture coordinates count from the upper left (glTF)."""
FROM_BOTTOM = np.array([BLUE, WHITE, RED, GREEN])
"""And where they count from the lower left (OBJ)."""


def write_obj(folder, texture="t.png"):
    Image.fromarray(IMAGE.repeat(8, 0).repeat(8, 1)).save(folder / "t.png")
    (folder / "a.mtl").write_text(f"newmtl a\nKd 1 1 1\nmap_Kd {texture}\n")
    lines = ["mtllib a.mtl", "usemtl a", *(f"v {x} {y} {z}" for x, y, z in VERTICES)]
    lines += [f"vt {u} {v}" for u, v in TEXCOORDS]
    lines += ["f " + " ".join(f"{corner + 1}/{corner + 1}" for corner in face) for face in FACES]
    (folder / "a.obj").write_text("\n".join(lines) + "\n")
    return str(folder / "a.obj")


def write_glb(folder):
    png = BytesIO()
    Image.fromarray(IMAGE.repeat(8, 0).repeat(8, 1)).save(png, "PNG")
    picture = png.getvalue() + b"\0" * (-len(png.getvalue()) % 4)
    parts = [VERTICES.tobytes(), FACES.tobytes(), TEXCOORDS.tobytes(), picture]
    offsets = np.cumsum([0, *map(len, parts)]).tolist()
    low, high = VERTICES.min(0).tolist(), VERTICES.max(0).tolist()
    content = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 2}, "indices": 1, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        "textures": [{"source": 0}], "images": [{"bufferView": 3, "mimeType": "image/png"}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3", "min": low, "max": high},
            {"bufferView": 1, "componentType": 5125, "count": 12, "type": "SCALAR"},
            {"bufferView": 2, "componentType": 5126, "count": 4, "type": "VEC2"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": offset, "byteLength": len(part)}
            for offset, part in zip(offsets[:-1], parts, strict=True)
        ],
        "buffers": [{"byteLength": offsets[-1]}],
    }  # fmt: skip
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    chunks = (
        struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", offsets[-1], b"BIN\0") + b"".join(parts)
    )
    (folder / "a.glb").write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    return str(folder / "a.glb")


def write_ply(folder, vertices=VERTICES, faces=FACES):
    lines = ["ply", "format ascii 1.0", f"element vertex {len(vertices)}"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header"]
    lines += [" ".join(map(str, row)) for row in vertices] + [" ".join(map(str, [3, *row])) for row in faces]
    (folder / "a.ply").write_text("\n".join(lines) + "\n")
    return str(folder / "a.ply")


@pytest.mark.parametrize(("write", "colours"), [(write_obj, FROM_BOTTOM), (write_glb, FROM_TOP)])
def test_a_textured_mesh_comes_with_its_colours_where_they_belong(tmp_path, write, colours):
    read = read_mesh(write(tmp_path))
    assert read.uvs.shape == (4, 3, 2)
    height, width, _ = read.texture.shape
    corner = read.vertices[read.triangles]
    column, row = (read.uvs[..., 0] * width).astype(int), (read.uvs[..., 1] * height).astype(int)
    seen = read.texture[row, column]
    for point, colour in zip((VERTICES - [2, 1, 0.5]) / 4, colours, strict=True):
        at = np.abs(corner - point).max(axis=-1) < 1e-6
        assert at.sum() == 3
        np.testing.assert_array_equal(seen[at], np.broadcast_to(colour, (3, 3)))


@pytest.mark.parametrize("write", [write_obj, write_glb, write_ply])
def test_meshes_have_unit_size_about_their_box_s_centre(tmp_path, write):
    read = read_mesh(write(tmp_path))
    np.testing.assert_allclose(read.vertices.max(axis=0), [0.5, 0.25, 0.125], atol=1e-7)
    np.testing.assert_allclose(read.vertices.min(axis=0), [-0.5, -0.25, -0.125], atol=1e-7)
    shape = mesh_shape(str(tmp_path / f"a{ {write_obj: '.obj', write_glb: '.glb', write_ply: '.ply'}[write] }"), 3.0)
    np.testing.assert_allclose(shape.half_sizes, [1.5, 0.75, 0.375], rtol=1e-6)
    assert shape.size == pytest.approx(3)
    np.testing.assert_array_equal(mesh(shape).triangles, read.triangles)
    np.testing.assert_allclose(np.ptp(colliders(shape)[0].points, axis=0), [3, 1.5, 0.75], rtol=1e-6)


def test_polygons_are_cut_into_triangles_and_keep_their_texture(tmp_path):
    """Open3D would leave out every face that is no triangle: Blender writes quads."""
    path = write_obj(tmp_path)
    corners = [(x, y, z) for x in (0, 4) for y in (0, 2) for z in (0, 1)]
    quads = [(1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5), (2, 6, 8, 4)]
    lines = [
        "mtllib a.mtl",
        "usemtl a",
        *(f"v {x} {y} {z}" for x, y, z in corners),
        "vt 0 0",
        "vt 1 0",
        "vt 1 1",
        "vt 0 1",
    ]
    lines += ["f " + " ".join(f"{corner}/{number}" for number, corner in enumerate(quad, 1)) for quad in quads]
    (tmp_path / "a.obj").write_text("\n".join(lines) + "\n")
    before = sorted(tmp_path.iterdir())
    read = read_mesh(path)
    a, b, c = np.moveaxis(read.vertices[read.triangles] * 4, 1, 0)
    assert len(read.triangles) == 12
    assert np.linalg.norm(np.cross(b - a, c - a), axis=-1).sum() / 2 == pytest.approx(2 * (8 + 4 + 2), rel=1e-5)
    assert read.texture is not None
    assert read.uvs.shape == (12, 3, 2)
    assert sorted(tmp_path.iterdir()) == before


def test_a_large_texture_is_shrunk(tmp_path):
    path = write_obj(tmp_path)
    Image.fromarray(IMAGE.repeat(600, 0).repeat(400, 1)).save(tmp_path / "t.png")
    texture = read_mesh(path).texture
    assert texture.shape == (512, 512, 3)
    assert (texture[0, 0].tolist(), texture[-1, -1].tolist()) == (BLUE, GREEN)  # rows from below, as Open3D reads them


def test_a_ply_has_no_texture(tmp_path):
    read = read_mesh(write_ply(tmp_path))
    assert read.uvs is None
    assert read.texture is None


def test_a_hull_of_many_points_is_thinned_and_keeps_its_size(tmp_path):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(2000, 3))
    points /= np.linalg.norm(points, axis=-1, keepdims=True)
    faces = rng.integers(0, 2000, (100, 3))
    read = read_mesh(write_ply(tmp_path, points, faces))
    hull = hull_points(read)
    assert 60 < len(hull) <= HULL_POINTS
    np.testing.assert_allclose(np.ptp(hull, axis=0), np.ptp(read.vertices, axis=0), atol=0.01)


BROKEN = {
    "no_faces.obj": ("v 0 0 0\nv 1 0 0\nv 0 1 0\n", "want a mesh with faces"),
    "empty.obj": ("", "want a mesh with faces"),
    "no_mesh.ply": ("hello", "want a mesh with faces"),
    "no_mesh.glb": ("glTF", "want a mesh with faces"),
    "nan.obj": ("v nan 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 2 4\n", "NaN"),
    "flat.obj": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "flat"),
    "range.obj": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "want a mesh with faces"),
    "outside.obj": ("mtllib ../secret.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "outside"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_meshes_are_named(tmp_path, name):
    content, fault = BROKEN[name]
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=f"{name}.*{fault}|secret.*{fault}"):
        read_mesh(str(tmp_path / name))


def test_files_outside_the_folder_are_refused(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(InputError, match=r"inside: got no mesh"):
        list_meshes(str(inside))
    write_ply(tmp_path)
    (inside / "link.ply").symlink_to(tmp_path / "a.ply")
    with pytest.raises(InputError, match=r"link\.ply: got a file outside"):
        list_meshes(str(inside) + "/.")
    with pytest.raises(InputError, match="got no folder"):
        list_meshes(str(tmp_path / "nowhere"))
    textured = tmp_path / "textured"
    textured.mkdir()
    with pytest.raises(InputError, match=r"passwd\.png: got a file outside"):
        read_mesh(write_obj(textured, "../passwd.png"))


def test_bodies_are_drawn_from_the_folder(tmp_path):
    write_obj(tmp_path)
    objects = DroppedObjects(static=(4, 4), dynamic=(2, 2), meshes=str(tmp_path), mesh_share=0.5, settle=1.0)
    kinds = [shape.kind for seed in range(4) for shape in draw_motion(np.random.default_rng(seed), objects, 2, 12.0)[0]]
    assert 4 < kinds.count("mesh") < 20
