"""Users' meshes: OBJ, GLB and PLY files of a folder, with their textures, brought to one size."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import open3d as o3d
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from PIL import Image

from mvt4g.formats.parsing.files import read_bytes
from mvt4g.formats.parsing.limits import file_limits
from mvt4g.types import InputError

SUFFIXES = (".obj", ".glb", ".gltf", ".ply")
MAX_TRIANGLES = 200_000
MAX_TEXELS = 512
"""Larger meshes are refused, larger textures shrunk: a worker keeps some dozens of both."""
HULL_POINTS = 128
"""Points a hull is thinned to: collisions cost the more the more there are."""
FLAT = 1e-4
"""Least extent of a mesh, in largest ones: a sheet has no inside and no inertia."""


@dataclass(frozen=True)
class TexturedMesh:
    """A mesh about the origin whose bounding box's longest side is 1.

    Attributes:
        vertices: In the mesh's own frame, the bounding box's centre at 0.
        triangles: Vertex numbers, outward by the right-hand rule if the file's are.
        uvs: Of every triangle's three corners, to the right and **down** from the texture's upper left corner, 1 = the
            whole image; values beyond [0, 1] repeat it. None without a texture.
        texture: Colours (row, column), at most MAX_TEXELS a side; None without one.
    """

    vertices: Float[ndarray, "v 3"]
    triangles: Int[ndarray, "f 3"]
    uvs: Float[ndarray, "f 3 2"] | None = None
    texture: UInt8[ndarray, "h w 3"] | None = None


@lru_cache(maxsize=8)
def list_meshes(folder: str) -> tuple[str, ...]:
    """Return the mesh files under a folder, by name; they are read only when drawn.

    Raises:
        InputError: If it is no folder, has none, or a file in it is a link to somewhere outside.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{folder}: got no folder, want one of {', '.join(SUFFIXES)} files")
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise InputError(f"{folder}: got no mesh, want {', '.join(SUFFIXES)} files")
    for path in files:
        _check_inside(path, root)
    return tuple(map(str, files))


@lru_cache(maxsize=32)
def read_mesh(path: str) -> TexturedMesh:
    """Read a mesh file, moved and scaled to unit size. A mesh of several textures is read without.

    Raises:
        InputError: If the file is missing, no mesh, empty, flat, too large or not finite, or names a file outside its
            folder.
    """
    place = Path(path)
    if not place.is_file():
        raise InputError(f"{path}: got no file, want a mesh")
    if place.suffix.lower() == ".obj":
        _check_references(place)
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error), _triangulated(place) as triangulated:
        try:
            read = o3d.io.read_triangle_mesh(str(triangulated), enable_post_processing=False)
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{path}: got no mesh that can be read ({error}), want OBJ, GLB or PLY") from error
    vertices = np.asarray(read.vertices)
    triangles = np.asarray(read.triangles).astype(np.int64)
    _check_geometry(path, vertices, triangles)
    low = vertices.min(axis=0)
    high = vertices.max(axis=0)
    unit = (vertices - (low + high) / 2) / (high - low).max()
    uvs, texture = _texture(read, len(triangles))
    return TexturedMesh(unit, triangles, uvs, texture)


def hull_points(mesh: TexturedMesh) -> Float[ndarray, "p 3"]:
    """Return corners of the mesh's convex hull: all, or those extreme in evenly spread directions if there are many."""
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(mesh.vertices))
    corners = np.asarray(cloud.compute_convex_hull()[0].vertices)
    if len(corners) <= HULL_POINTS:
        return corners
    number = np.arange(HULL_POINTS - 6) + 0.5  # a Fibonacci sphere, and the axes so that the size stays
    height = 1 - 2 * number / len(number)
    turn = np.pi * (1 + np.sqrt(5)) * number
    spread = np.sqrt(1 - height**2)
    directions = np.stack([spread * np.cos(turn), spread * np.sin(turn), height], axis=-1)
    directions = np.concatenate([directions, np.eye(3), -np.eye(3)])
    return corners[np.unique((corners @ directions.T).argmax(axis=0))]


def _check_geometry(
    path: str,
    vertices: Float[ndarray, "v 3"],
    triangles: Int[ndarray, "f 3"],
) -> None:
    if not len(triangles) or not len(vertices):
        raise InputError(f"{path}: got {len(vertices)} vertices and {len(triangles)} faces, want a mesh with faces")
    if len(triangles) > MAX_TRIANGLES:
        raise InputError(f"{path}: got {len(triangles)} faces, want at most {MAX_TRIANGLES}")
    if not np.isfinite(vertices).all():
        raise InputError(f"{path}: got vertices with NaN or infinity, want finite ones")
    if triangles.min() < 0 or triangles.max() >= len(vertices):
        raise InputError(f"{path}: got faces of vertex {triangles.max()}, want below {len(vertices)}")
    # The least singular value against the largest: how thick the cloud of vertices is.
    spread = np.linalg.svd(vertices - vertices.mean(axis=0), compute_uv=False)
    if not spread[-1] > FLAT * spread[0]:
        raise InputError(f"{path}: got a flat mesh, want one with an inside")


def _texture(
    read: o3d.geometry.TriangleMesh,
    num_triangles: int,
) -> tuple[Float[ndarray, "f 3 2"] | None, UInt8[ndarray, "h w 3"] | None]:
    images = [np.asarray(image) for image in read.textures if not image.is_empty()]
    uvs = np.asarray(read.triangle_uvs)
    if len(images) != 1 or len(uvs) != 3 * num_triangles or not np.isfinite(uvs).all():
        return None, None
    image = images[0] if images[0].ndim == 3 else images[0][..., None]
    if image.dtype != np.uint8:
        return None, None
    # Grey images, with or without a fourth channel of opacity, are spread over three.
    colours = image[..., :3] if image.shape[-1] >= 3 else np.repeat(image[..., :1], 3, axis=-1)
    size = (min(colours.shape[1], MAX_TEXELS), min(colours.shape[0], MAX_TEXELS))
    picture = Image.fromarray(np.ascontiguousarray(colours))
    small = picture.resize(size, Image.Resampling.BOX)
    return uvs.reshape(-1, 3, 2).copy(), np.array(small)


@contextmanager
def _triangulated(path: Path) -> Iterator[Path]:
    """Give an OBJ whose polygons are cut into fans, since Open3D leaves out all but triangles; others as they are."""
    lines = _lines(path) if path.suffix.lower() == ".obj" else []
    if all(len(line.split()) <= 4 for line in lines if line.startswith("f ")):
        yield path
        return
    with TemporaryDirectory() as folder:
        for beside in path.resolve().parent.iterdir():  # materials and textures are looked for beside the file
            if beside.name != path.name:
                (Path(folder) / beside.name).symlink_to(beside)
        cut = []
        for line in lines:
            cut += _fan(line) if line.startswith("f ") else [line]
        place = Path(folder) / path.name
        place.write_text("\n".join(cut) + "\n", encoding="latin-1")
        yield place


def _fan(face: str) -> list[str]:
    first, *others = face.split()[1:]
    return [f"f {first} {one} {other}" for one, other in pairwise(others)]


def _check_references(path: Path) -> None:
    """Refuse an OBJ whose material or texture files lie outside the folder it is in."""
    for line in _lines(path):
        if line.startswith("mtllib "):
            materials = path.parent / line.split(maxsplit=1)[1].strip()
            _check_inside(materials, path.parent)
            for entry in _lines(materials) if materials.is_file() else ():
                if entry.strip().startswith("map_"):
                    _check_inside(materials.parent / entry.split()[-1], path.parent)


def _lines(path: Path) -> list[str]:
    """Return the lines of an OBJ or MTL, whose encoding nobody says: names come out byte for byte as they went in."""
    content = read_bytes(path, "a mesh", file_limits().row_bytes)
    return content.decode("latin-1").replace("\r\n", "\n").split("\n")


def _check_inside(path: Path, root: Path) -> None:
    if not path.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{path}: got a file outside {root}, want all files inside")
