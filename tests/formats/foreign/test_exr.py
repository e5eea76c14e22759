"""OpenEXR: a file of its own library, the layouts it writes, and files that are damaged or made to harm."""

import base64
import struct
import zlib

import numpy as np
import pytest

from mvt4g.formats.foreign.exr import read_exr_channel
from mvt4g.types import InputError
from tests.formats.layouts.exr import exr

VALUES = (np.arange(18 * 5).reshape(18, 5) * 0.25 + 0.5).astype(np.float16)
VALUES[0, 0], VALUES[1, 1] = np.inf, np.nan
OF_THE_LIBRARY = {
    "half": (
        "c-kw|H)LdDU|>kjNX*Mi%_#;lax#lc7=(dhQ4EX>5Won<49WSq1x2aF#hLkeC~S}<b4p@KVt8g=N`5&*QhtR|CW8P20<ZwFAP}cy"
        "78m3sRuWW~lbM(5UzCzsgv0_np&+v&HOH~IAT_xpD6u3npCK(LKd}U?kAb1VzBsukH8l@nymM+^2~b;^Q5pjWk`>5G!ZTA!GSG}*"
        "P=)$Cf)Sxf8;C37k~0{X*)%K~*u(@FgfASF-o5PDv15PzdU*wIG&DLk2=FrZ@-jT=3poe!k_Zqh_!{^+_y+hU_!js!_)hR$;Jd*W"
        "07I=<+W"
    ),
    "float": (
        "c-kw|H)LdDU|>kjNX*Mi%_#;lax#lc7*v5`jtq<p5Won<Q4CCIA`Hp-xdlb3#l@NVc_?g<By&n)Nn&_rUP^vBLsEW)Q6_@`0|KxB"
        "u^<qqWEL0XBvuksmy?;7>R*(ST7<*`JE0)6A~nacxF9vTBq*^YGoK+XCqJ<StdD`A!M-@TC^a<?V!U%|UI|cJnNb=82a*-YO2RW!"
        "N;1%lU@(V<gdP(@(|aJUh)d33U}S4!=Hubv;+NrT*vZK)!{?(BF=2xu!x`HL1qUBA9%5%?V>6ikxcvZor#KhCNnXQFHgO$43z-i$"
        "1UE3A>5Z7UK_S`gU`rRD!S;m<mo8hpXnBeg;|ycfbhl%3rm%8)CmpyWDwyqL#**{#=0nD3?+Ps+6dZZha#T{-;Cs_S(Yex6<sot!"
        "4Lki);ym^U{#5wT%6{hW!H?~&jg2qmPs<xje=B~Re_g&!{13avolNpA_d53oR;zwwIy1FO?X%0fiHDe%TKg)zt3UR)PvA#C=ZU-T"
        "f6V{bz|7Gk>OA8~A^)wz4<0;VVo<GreFzjSns9GVwa(gZl9v&Cc_-7eSFuJr5=zcJ>A9(C@O^<T&!Qs6lC83b0F!XPCI"
    ),
    "piz": (
        "c-n<dK}y3w6n&8{Tvl8Qxq-DyQ9EsuG?~m`aZ_-Wm`v$FOhOWB1(7*IkB}pD;Q{6d9wA5Y2&S#j>c$W6^Z5V0_y6+p$~XZKEy6Sv"
        "N!gM_mKDz1*&__>%lHAJ>^Uz)S;{Q^#kb2&99H2>rg8Ryr)<@i=;BbF7H2JDS>{Rj`mZjLskkp<Q5><|3%Oj0WLV}Rsvg2hW|${g"
        "SnYg(8kA8XM7ob3i?nKO%l;gvM<<RYGZ|NlKM}Yv4&sk(d&4zuaEm((@U94kYKV~<VXVfmh@~uT!6vq{wGD?j%FzxcWTGZ|0@rkj"
        "8@S4?UF|k5Jkujy;3=>6wAXl`CM7hWiq=%qhQc>};s?I+YhU|~57uQS>oLNnEMPfPY|U!6VVZrihJ7*cE;o6P6F%hu&$;4jUh@tA"
        "20`e3M*"
    ),
}
"""Written by OpenEXR 3.5.3 for Python with its defaults (zip), the second with a half channel A before a float Z."""


def read(content, channel="Z"):
    return read_exr_channel(content, channel, "a.zip: 00000.exr")


@pytest.mark.parametrize("kind", ["half", "float"])
def test_files_of_the_library(kind):
    content = zlib.decompress(base64.b85decode(OF_THE_LIBRARY[kind]))
    found = read(content)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, VALUES.astype(np.float32))


def test_a_compression_that_is_not_read_is_named():
    with pytest.raises(InputError, match=r"00000\.exr: cannot be read as OpenEXR \(compression PIZ\), want one"):
        read(zlib.decompress(base64.b85decode(OF_THE_LIBRARY["piz"])))


@pytest.mark.parametrize("compression", ["NONE", "ZIPS", "ZIP"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("shape", [(1, 1), (16, 7), (33, 64)])
@pytest.mark.parametrize("smooth", [True, False])
def test_every_layout_that_is_read(compression, dtype, shape, smooth):
    rng = np.random.default_rng((shape[0], smooth))
    z = (np.ones(shape) * 3 if smooth else rng.random(shape)).astype(dtype)
    others = {"A": rng.random(shape).astype(np.float16), "zz": rng.random(shape).astype(np.float32)}
    np.testing.assert_array_equal(read(exr({"Z": z}, compression)), z.astype(np.float32))
    np.testing.assert_array_equal(read(exr({"Z": z, **others}, compression, origin=(-4, 7))), z.astype(np.float32))


FILE = exr({"Z": np.ones((20, 4), np.float16)})
WINDOW = FILE.index(b"dataWindow\0box2i\0") + len(b"dataWindow\0box2i\0") + 4
TABLE = FILE.index(b"lineOrder\0lineOrder\0") + len(b"lineOrder\0lineOrder\0") + 4 + 2
CHANNEL = FILE.index(b"Z\0") + 2
BLOCK = struct.unpack_from("<Q", FILE, TABLE)[0]


def patched(place, content):
    return FILE[:place] + content + FILE[place + len(content) :]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "its first bytes are another format's"),
        (b"\x89PNG" + FILE[4:], "its first bytes are another format's"),
        (patched(4, struct.pack("<I", 0x202)), "version and flags 0x202: tiles"),
        (patched(4, struct.pack("<I", 0x1002)), "several parts or deep data"),
        (
            patched(WINDOW, struct.pack("<4i", 0, 0, 2**30, 2**30)),
            "an image of 1073741825x1073741825, want at most",
        ),
        (patched(WINDOW, struct.pack("<4i", 0, 0, -1, 5)), "a window from 0, 0 to -1, 5"),
        (patched(WINDOW, struct.pack("<4i", -(2**31), 0, 2**31 - 1, 0)), "got an image of 4294967296x1"),
        (patched(WINDOW, struct.pack("<4i", 0, 0, 3, 200)), "block|unpack|requires"),
        (patched(WINDOW - 4, struct.pack("<i", -5)), "attribute 'dataWindow' of -5 bytes"),
        (patched(WINDOW - 4, struct.pack("<i", 2**30)), "attribute 'dataWindow' of 1073741824 bytes"),
        (patched(CHANNEL, struct.pack("<i", 0)), "channel 'Z' of whole numbers"),
        (patched(CHANNEL, struct.pack("<i", 9)), "channel 'Z' of type 9"),
        (patched(CHANNEL + 8, struct.pack("<i", 2)), "channel 'Z' of type 1, every 2 by 1 pixels"),
        (patched(TABLE, struct.pack("<Q", 2**63)), "cannot be read as OpenEXR"),
        (patched(TABLE, struct.pack("<Q", 4)), "block 0 of row"),
        (patched(BLOCK, struct.pack("<i", 3)), "block 0 of row 3"),
        (patched(BLOCK + 4, struct.pack("<i", 2**31 - 1)), "block 0 of row 0 and 2147483647 bytes"),
        (patched(BLOCK + 8, b"\0\0\0\0"), "cannot be read as OpenEXR"),
        (FILE.replace(b"dataWindow\0", b"dataWindex\0"), "no attribute dataWindow"),
        (FILE.replace(b"Z\0", b"Y\0"), "channels ['Y'], want 'Z'"),
    ],
)
def test_what_is_damaged_or_made_to_harm_is_refused_in_one_line(content, fault):
    with pytest.raises(InputError) as caught:
        read(content)
    message = str(caught.value)
    assert message.startswith("a.zip: 00000.exr: ")
    assert any(part in message for part in fault.split("|"))
    assert "\n" not in message


@pytest.mark.parametrize("length", range(0, len(FILE), 7))
def test_a_file_cut_anywhere_is_refused(length):
    with pytest.raises(InputError, match=r"a\.zip: 00000\.exr: cannot be read as OpenEXR"):
        read(FILE[:length])


def test_a_block_that_unpacks_to_more_than_its_rows_is_stopped_there():
    bomb = zlib.compress(bytes(10_000_000))
    content = FILE[: BLOCK + 4] + struct.pack("<i", len(bomb)) + bomb
    with pytest.raises(InputError, match="a block that unpacks to 129 bytes or more, want 128"):
        read(content)
