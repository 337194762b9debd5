"""Damaged and hostile picture files are read or refused, and have no other effect."""

import io
import random
import struct
import time
import zlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from fmnist.adapters.pillow.files import UnreadablePicture, decode_picture
from fmnist.domain.model.errors import InvalidImages
from tests.unit.adapters.pillow.pngs import DEPTHS, chunk, png

SHIRT = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)
SECONDS = 5.0  # limit for one file of some kilobytes, on a busy machine


def encoded(kind: str, mode: str = "L", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(SHIRT).convert(mode).save(file, kind, **options)
    return file.getvalue()


def exif() -> bytes:
    """EXIF data of a camera: maker, orientation, place, thumbnail and maker notes."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0112], tags[0x0132], tags[0x0131] = "Canon", 6, "2020:01:01 00:00:00", "software"
    place = ImageFileDirectory_v2()
    place[1], place[2] = "N", (1.0, 2.0, 3.0)
    tags._ifds[0x8825] = dict(place)
    tags._ifds[0x8769] = {0x927C: b"\0\1\2\3" * 20, 0x9286: b"comment"}
    return tags.tobytes()


def orientation_and(tag: int, kind: int, count: int, value: int) -> bytes:
    """A JPEG with an Orientation and one more tag of a wrong type."""
    entries = sorted([(0x0112, 3, 1, 6 << 16), (tag, kind, count, value)])
    directory = struct.pack(">H", 2) + b"".join(struct.pack(">HHII", *entry) for entry in entries) + bytes(4)
    return encoded("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08" + directory)


def pngs() -> list[bytes]:
    text = b"key\0\0" + zlib.compress(b"words" * 50)
    extras = [
        chunk(b"eXIf", exif().removeprefix(b"Exif\0\0")),
        chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(200))),
        chunk(b"tEXt", b"key\0words"),
        chunk(b"zTXt", text),
        chunk(b"iTXt", b"key\0\1\0\0\0" + zlib.compress(b"words")),
        chunk(b"pHYs", bytes(9)),
        chunk(b"gAMA", bytes(4)),
        chunk(b"cHRM", bytes(32)),
        chunk(b"PLTE", bytes(range(256)) * 3),
        chunk(b"tRNS", bytes(6)),
    ]
    files = []
    for colour, depths in DEPTHS.items():
        for depth in depths:
            samples = np.repeat(
                (SHIRT >> 8 - depth if depth < 8 else SHIRT)[..., None], {2: 3, 4: 2, 6: 4}.get(colour, 1), 2
            )
            files.append(png(samples, colour, depth, interlaced=depth == 8, chunks=extras))
    return files


def jpegs() -> list[bytes]:
    first, preview = Image.fromarray(SHIRT).convert("RGB"), Image.new("RGB", (28, 28))
    mpo = io.BytesIO()
    first.save(mpo, "MPO", save_all=True, append_images=[preview], exif=exif())
    plain = [
        encoded("JPEG", mode, exif=exif(), progressive=progressive, icc_profile=bytes(300), comment=b"words")
        for mode in ("L", "RGB", "CMYK")
        for progressive in (False, True)
    ]
    return [*plain, mpo.getvalue()]


def others() -> list[bytes]:
    return [encoded(kind) for kind in ("GIF", "TIFF", "BMP", "WEBP", "ICO", "PPM", "TGA")]


def png_parts(content: bytes) -> list[bytes]:
    parts, position = [content[:8]], 8
    while position + 12 <= len(content):
        end = position + 12 + int.from_bytes(content[position : position + 4], "big")
        parts.append(content[position:end])
        position = end
    return parts


def jpeg_parts(content: bytes) -> list[bytes]:
    starts = [
        place for place in range(len(content) - 1) if content[place] == 0xFF and content[place + 1] not in (0, 0xFF)
    ]
    return [content[start:end] for start, end in zip(starts, [*starts[1:], len(content)], strict=True)]


def split(content: bytes) -> list[bytes]:
    if content.startswith(b"\x89PNG"):
        return png_parts(content)
    if content.startswith(b"\xff\xd8"):
        return jpeg_parts(content)
    return [content[place : place + 16] for place in range(0, len(content), 16)]


def sealed(parts: Sequence[bytes]) -> bytes:
    """Chunks of a PNG with correct lengths and checksums, so that damage inside of them reaches the decoder."""
    return parts[0] + b"".join(chunk(part[4:8], part[8:-4]) for part in parts[1:])


def flip(rng: random.Random, content: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        place = rng.randrange(len(damaged))
        damaged[place] = rng.choice((*INTERESTING, damaged[place] ^ 1 << rng.randrange(8)))
    return bytes(damaged)


def cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content))]


def insert(rng: random.Random, content: bytes) -> bytes:
    place = rng.randrange(len(content))
    return content[:place] + rng.randbytes(rng.randint(1, 40)) + content[place:]


def shuffle(rng: random.Random, content: bytes) -> bytes:
    parts = split(content)
    first, rest = parts[:1], parts[1:]
    for _ in range(rng.randint(1, 3)):
        if rest:
            part = rest.pop(rng.randrange(len(rest)))
            for _ in range(rng.choice((0, 1, 2, 5))):
                rest.insert(rng.randint(0, len(rest)), part)
    return b"".join(first + rest)


def damage_inside(rng: random.Random, content: bytes) -> bytes:
    parts = split(content)
    place = rng.randrange(len(parts))
    body = parts[place]
    parts[place] = body[:8] + flip(rng, body[8:-4]) + body[-4:] if len(body) > 16 else body
    return sealed(parts) if content.startswith(b"\x89PNG") else b"".join(parts)


MUTATIONS: tuple[Callable[[random.Random, bytes], bytes], ...] = (flip, cut, insert, shuffle, damage_inside)


def check(content: bytes) -> None:
    """Read the picture as a service does. It must be read or refused, and quickly."""
    began = time.monotonic()
    try:
        images = decode_picture(content, 1_000_000)
    except InvalidImages:
        pass
    else:
        assert images.shape == (1, 28, 28)
        assert images.dtype == np.uint8
    assert time.monotonic() - began < SECONDS


def fuzz(seed: int, rounds: int) -> None:
    rng, whole = random.Random(seed), [*pngs(), *jpegs(), *others()]  # noqa: S311 - not for secrets
    for _ in range(rounds):
        content = rng.choice(whole)
        for _ in range(rng.randint(1, 3)):
            content = rng.choice(MUTATIONS)(rng, content) or b"\0"
        check(content)


@pytest.mark.parametrize("tag", [0x010F, 0x0110, 0x0132, 0x8769, 0x8825, 0x927C, 0xA005, 0x0201, 0x014A])
def test_a_tag_of_a_wrong_type_beside_an_orientation_is_refused_as_damaged(tag: int) -> None:
    for kind in range(14):
        for count, value in ((0, 0), (1, 0), (1, 2**32 - 1), (4, 8), (2**31, 8), (2**32 - 1, 0xFFFF)):
            check(orientation_and(tag, kind, count, value))


def test_pictures_are_readable_before_they_are_damaged() -> None:
    for content in pngs() + jpegs():
        assert decode_picture(content, 1000).shape == (1, 28, 28)


def test_damaged_pictures_are_read_or_refused() -> None:
    fuzz(seed=0, rounds=1500)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 5))
def test_many_damaged_pictures_are_read_or_refused(seed: int) -> None:
    fuzz(seed, rounds=50_000)


def test_pictures_with_an_impossible_size_are_refused() -> None:
    whole = png_parts(encoded("PNG"))
    for width, height in ((0, 28), (28, 0), (0, 0), (2**31 - 1, 2**31 - 1), (2**32 - 1, 1), (1, 2**31 - 1), (10**6, 2)):
        header = struct.pack(">II", width, height) + whole[1][16:21]
        with pytest.raises(InvalidImages):
            decode_picture(sealed([whole[0], whole[1][:8] + header + bytes(4), *whole[2:]]), 1_000_000)


def test_compressed_text_of_huge_size_is_not_decompressed() -> None:
    bomb = zlib.compress(bytes(200_000_000), 1)
    samples = SHIRT[..., None]
    for kind, head in ((b"zTXt", b"key\0\0"), (b"iTXt", b"key\0\1\0\0\0"), (b"iCCP", b"key\0\0")):
        content = png(samples, 0, 8, interlaced=False, chunks=[chunk(kind, head + bomb)])
        check(content)
    pixels = png_parts(encoded("PNG"))
    check(sealed([*pixels[:2], chunk(b"IDAT", bomb), pixels[-1]]))


@pytest.mark.parametrize("part", [chunk(b"tEXt", b"k\0"), chunk(b"IDAT", b""), chunk(b"xxxx", b"")])
def test_a_png_has_a_chunk_limit(part: bytes) -> None:
    whole = encoded("PNG")
    assert decode_picture(whole[:33] + part * 30_000 + whole[33:], 1000).shape == (1, 28, 28)
    with pytest.raises(UnreadablePicture, match="a PNG of more than 50000 chunks"):
        decode_picture(whole[:33] + part * 50_000 + whole[33:], 1000)


def test_bytes_after_a_png_do_not_count_as_chunks() -> None:
    assert decode_picture(encoded("PNG") + bytes(1_000_000), 1000).shape == (1, 28, 28)
