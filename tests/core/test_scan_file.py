"""Scan files as the arrays they hold."""

import struct
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from freetalk_blender.core.errors import MeshError
from freetalk_blender.core.surface import scan_file

SQUARE = np.array([[0, 0, 0], [9, 9, 9], [1, 0, 0], [1, 1, 0], [0, 1, 0.5]], np.float32)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_obj_keeps_unused_vertices_and_their_order(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.obj"
    lines = [f"v {x} {y} {z} 0.5 0.5 0.5" for x, y, z in SQUARE]
    lines += ["vt 0 0", "o head", "f 1/1 3/1 4/1 5/1", "g other", "f -1//-1 -2 -3 # end"]
    path.write_text("\n".join(lines), encoding=encoding)
    vertices, triangles = scan_file.read(path)
    np.testing.assert_array_equal(vertices, SQUARE)
    assert triangles.tolist() == [[0, 2, 3], [0, 3, 4], [4, 3, 2]]


def test_negative_corners_of_an_obj_count_back_from_where_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    points = [f"v {x} {y} {z}" for x, y, z in SQUARE]
    path.write_text("\n".join([*points[:3], "f -3 -2 -1", *points[3:], "f -1 -2 -3 -5", "f 1 3 5"]))
    assert scan_file.read(path)[1].tolist() == [[0, 1, 2], [4, 3, 2], [4, 2, 0], [0, 2, 4]]


def test_indented_lines_of_an_obj_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    path.write_text("\n".join([*(f"  v {x} {y} {z}" for x, y, z in SQUARE), "\tf 1 2 3"]))
    assert len(scan_file.read(path)[0]) == len(SQUARE) and scan_file.read(path)[1].tolist() == [[0, 1, 2]]


def test_obj_tells_the_texture_of_each_corner(tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    head = "\n".join([*(f"v {x} {y} {z}" for x, y, z in SQUARE), "vt 0 0", "vt 1 0 0", "vt 1 1", "vt 0.5 1"])
    for faces, wanted in {
        "f 1/1 3/2/9 4/3 5/4\nf -1/-1 -2/-2/-2 -3/-3": [[0, 1, 2], [0, 2, 3], [3, 2, 1]],
        "f 1/1 3/2 4/3\nf 1//1 3//2 4//3": None,
        "f 1/1 3/2 4/9": None,
        "f 1 3 4": None,
    }.items():
        path.write_text(f"{head}\n{faces}\n")
        uvs = scan_file.read_uvs(path)
        assert (uvs is None) == (wanted is None)
        if wanted is not None:
            np.testing.assert_array_equal(uvs, np.array([[0, 0], [1, 0], [1, 1], [0.5, 1]])[wanted])
            assert uvs.shape[:2] == scan_file.read(path)[1].shape


def test_pictures_of_an_obj_that_are_not_where_blender_looks_are_told(tmp_path: Path) -> None:
    (tmp_path / "tex").mkdir()
    for name in ("skin.png", "tex/an eye.png", "tex/lip.png"):
        (tmp_path / name).touch()
    (tmp_path / "a.obj").write_text("mtllib the head.mtl\r\nmtllib none.mtl\r\nv 0 0 0\n")
    named = ["-s 1 1 1 -clamp on skin.png", "tex\\an eye.png", "/home/me/skin.png", "tex/an_eye.png"]
    lost = ["lip.png", "-o 0.5 0 tex/my brow.png"]
    (tmp_path / "the head.mtl").write_text("".join(f"newmtl a\r\n  map_Kd {name}\r\n" for name in named + lost))
    assert scan_file.missing_pictures(tmp_path / "a.obj") == [tmp_path / "lip.png", tmp_path / "tex/my brow.png"]
    assert scan_file.missing_pictures(tmp_path / "a.ply") == []


def test_a_picture_or_library_whose_name_is_too_long_for_a_file_is_missing(tmp_path: Path) -> None:
    long = 300 * "x"
    (tmp_path / "a.obj").write_text(f"mtllib {long}.mtl\nmtllib a.mtl\nv 0 0 0\n")
    (tmp_path / "a.mtl").write_text(f"newmtl a\nmap_Kd {long}.png\n")
    assert scan_file.missing_pictures(tmp_path / "a.obj") == [tmp_path / f"{long}.png"]
    with pytest.raises(MeshError, match="cannot be read"):
        scan_file.read(tmp_path / f"{long}.obj")


def test_blank_lines_of_a_text_stl_take_no_time(tmp_path: Path) -> None:
    facet = "facet normal 0 0 1\nouter loop\n vertex 0 0 0\n\tvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\n"
    (tmp_path / "a.stl").write_text("solid a\n" + 100_000 * "\n" + facet + "endsolid a\n")
    began = time.process_time()
    assert len(scan_file.read(tmp_path / "a.stl")[0]) == 3
    assert time.process_time() - began < 2


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("faces", [[[0, 2, 3, 4], [4, 3, 2]], [[0, 2, 3], [0, 3, 4], [4, 3, 2]]])
def test_ply_is_read_in_each_of_its_forms(tmp_path: Path, form: str, faces: list[list[int]]) -> None:
    header = (
        f"ply\nformat {form} 1.0\ncomment made by Zoë's hand\nelement vertex 5\nproperty double x\nproperty double y\n"
        f"property double z\nproperty uchar red\nelement face {len(faces)}\nproperty uchar flags\n"
        "property list uchar int vertex_indices\nend_header\n"
    )
    if form == "ascii":
        body = "\n".join(f"{x} {y} {z} 200" for x, y, z in SQUARE)
        body += "\n" + "\n".join(f"1 {len(face)} {' '.join(map(str, face))}" for face in faces)
        content = header.encode() + body.encode() + b"\n"
    else:
        order = ">" if form == "binary_big_endian" else "<"
        content = header.encode() + b"".join(struct.pack(f"{order}dddB", *point, 200) for point in SQUARE.tolist())
        content += b"".join(struct.pack(f"{order}BB{len(face)}i", 1, len(face), *face) for face in faces)
    path = tmp_path / "a.ply"
    path.write_bytes(content)
    vertices, triangles = scan_file.read(path)
    np.testing.assert_array_equal(vertices, SQUARE)
    assert triangles.tolist() == [[0, 2, 3], [0, 3, 4], [4, 3, 2]]


def test_stl_keeps_its_three_corners_a_triangle(tmp_path: Path) -> None:
    corners = SQUARE[[0, 2, 3, 0, 3, 4]].reshape(2, 3, 3)
    binary, text = tmp_path / "b.stl", tmp_path / "t.stl"
    binary.write_bytes(
        b"\0" * 80 + struct.pack("<I", 2) + b"".join(struct.pack("<12fH", 0, 0, 1, *c.ravel(), 0) for c in corners)
    )
    facets = "".join(
        "facet normal 0 0 1\nouter loop\n" + "".join("vertex {} {} {}\n".format(*p) for p in c) + "endloop\nendfacet\n"
        for c in corners
    )
    text.write_text(f"solid s\n{facets}endsolid s\n")
    loud, longer = tmp_path / "l.stl", tmp_path / "more.stl"
    loud.write_text(text.read_text().upper())
    longer.write_bytes(b"solid" + binary.read_bytes()[5:] + b"colours of some program")
    for path in (binary, text, loud, longer):
        vertices, triangles = scan_file.read(path)
        np.testing.assert_array_equal(vertices, corners.reshape(-1, 3))
        assert triangles.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.obj", b"", "0 vertices and 0 faces"),
        ("a.obj", b"v 1 2\nf 1 2 3\n", "cannot be read"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "names a vertex it does not hold"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3.5\n", "where a number should be"),
        ("a.obj", b"v 0 0 zero\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "where a number should be"),
        ("a.obj", b"v 0 0\nv 1 0\nv 0 1\nv 9 9 9\nf 1 2 3\n", "cannot be read"),
        ("a.ply", b"not a ply", "no PLY header"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nend_header\n1\n", "ends too early"),
        (
            "a.ply",
            b"ply\nformat binary_little_endian 1.0\nelement vertex 9\nproperty float x\nend_header\n",
            "cannot be",
        ),
        (
            "a.ply",
            b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n",
            "'y' is missing or unknown",
        ),
        ("a.stl", b"\0" * 90, "neither a text STL nor a binary one"),
        ("a.glb", b"glTF", r"reads without Blender; use \.obj, \.ply, \.stl\.$"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MeshError, match=words) as caught:
        scan_file.read(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_scans_read_side_by_side_leave_the_programs_warnings_as_they_are(head: Path) -> None:
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as threads:
        read = list(threads.map(scan_file.read, [head] * 16))
    assert warnings.filters == before
    assert all(len(vertices) == len(read[0][0]) for vertices, _ in read)


def test_a_file_that_the_system_does_not_read_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(b"ply")

    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(MeshError, match=r"a\.ply cannot be read \(Permission denied\); check the path\."):
        scan_file.read(path)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MeshError, match="does not exist"):
        scan_file.read(tmp_path / "none.obj")


def test_a_scan_far_from_its_origin_is_read_as_exactly_as_the_file_has_it(tmp_path: Path) -> None:
    """Georeferenced: a face in metres, some thousand kilometres from where its coordinates begin."""
    exact = SQUARE / 8 + np.array([4e5, 5.1e6, 100])
    path = tmp_path / "a.obj"
    path.write_text("".join(f"v {x!r} {y!r} {z!r}\n" for x, y, z in exact.tolist()) + "f 1 3 4\nf 3 4 5\n")
    vertices, _, offset = scan_file.read_near(path)
    assert vertices.dtype == np.float32 and np.array_equal(offset, np.round(offset))
    assert np.abs(vertices + offset - exact).max() < 1e-6 < np.abs(exact.astype(np.float32) - exact).max()
    np.testing.assert_array_equal(scan_file.read(path)[0], exact.astype(np.float32))


def test_no_offset_is_taken_where_nothing_is_gained(tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    path.write_text("".join(f"v {x} {y} {z}\n" for x, y, z in SQUARE + 100) + "f 1 3 4\n")
    assert not scan_file.read_near(path)[2].any()
    corners = SQUARE[[0, 2, 3]] / 8 + np.float32(1e6)
    path = tmp_path / "b.stl"
    path.write_bytes(b"\0" * 80 + struct.pack("<I", 1) + struct.pack("<12fH", 0, 0, 1, *corners.ravel(), 0))
    assert not scan_file.read_near(path)[2].any(), "its own coordinates have 32 bits"
