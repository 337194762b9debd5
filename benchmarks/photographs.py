"""Renders photographs of Fashion-MNIST images, and measures a model on them, with and without their preparation.

    python benchmarks/photographs.py [MODEL_URI]

Each photograph is made from a test image: its article is enlarged smoothly, and laid on a background. It is drawn in
the greys of a photograph, so dark where the dataset, which is a negative, is light.
"""

import argparse
import io
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from fmnist.adapters.pillow.files import MOST_PIXELS, decode_picture
from fmnist.adapters.pillow.photographs import prepare_photograph
from fmnist.apps.settings import load_environment
from fmnist.domain.model.data.images import Images

_Plane = npt.NDArray[np.float64]
_PAPER = (246.0, 238.0, 220.0)
_DYES = ((60, 80, 170), (150, 40, 50), (40, 110, 70), (90, 60, 120))
_EXIF_ORIENTATION, _ROTATED = 0x0112, 6  # a camera held upright stores its rows from right to left


def photographs(image: Images, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield a photograph of each kind, by its name, of an image uint8 (28, 28). Equal arguments give equal bytes."""
    for number, (kind, render) in enumerate(_KINDS.items()):
        yield kind, render(image, np.random.default_rng([seed, number]))


def _article(image: Images, side: int) -> tuple[_Plane, _Plane]:
    """Return an enlarged article in the greys of a photograph, 0-255, and how far it covers its background, 0-1."""
    # The edge is where the smooth picture passes a low level, and is about two pixels of the original wide.
    large = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC), np.float64)
    covers = np.clip((large - 8) / 24, 0, 1)
    return 255 - 0.92 * large, covers


def _laid(image: Images, place: tuple[int, int, int], backdrop: _Plane, shadow: float = 0) -> _Plane:
    """Return a photograph (height, width) of the article, of `side` pixels at `top`, `left`, on a backdrop 0-255."""
    side, top, left = place
    grey, covers = _article(image, side)
    photo, mask = backdrop.copy(), np.zeros_like(backdrop)
    mask[top : top + side, left : left + side] = covers
    if shadow:
        fall = side // 12
        soft = Image.fromarray((255 * mask).astype(np.uint8)).filter(ImageFilter.GaussianBlur(side / 20))
        photo *= 1 - shadow * np.roll(np.asarray(soft, np.float64) / 255, (fall, fall), (0, 1))
    there = photo[top : top + side, left : left + side]
    photo[top : top + side, left : left + side] = (1 - covers) * there + covers * grey
    return photo


def _plain(shape: tuple[int, int], level: float) -> _Plane:
    return np.full(shape, level)


def _uneven(shape: tuple[int, int], random: np.random.Generator) -> _Plane:
    """Return a backdrop that is lit from one side: from 235 down to 165, with the grain of a camera."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    angle = random.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * rows / shape[0] + np.sin(angle) * columns / shape[1]
    slope = (slope - slope.min()) / np.ptp(slope)
    light: _Plane = 235 - 70 * slope + random.normal(0, 3, shape)
    return light


def _off_centre(random: np.random.Generator) -> tuple[int, int, int]:
    side = int(random.integers(150, 260))
    return side, int(random.integers(20, 460 - side)), int(random.integers(20, 620 - side))


def _dark_on_light(image: Images, _: np.random.Generator) -> bytes:
    return _file(_laid(image, (300, 50, 50), _plain((400, 400), 238)), "PNG")


def _moved(image: Images, random: np.random.Generator) -> bytes:
    return _file(_laid(image, _off_centre(random), _plain((480, 640), 238)), "JPEG")


def _shadowed(image: Images, random: np.random.Generator) -> bytes:
    return _file(_laid(image, (300, 70, 120), _uneven((440, 560), random), shadow=0.3), "JPEG")


def _coloured(image: Images, random: np.random.Generator) -> bytes:
    return _file(_dyed(_laid(image, (300, 60, 60), _plain((420, 420), 255)), random), "JPEG")


def _turned(image: Images, _: np.random.Generator) -> bytes:
    photo = _laid(image, (300, 40, 130), _plain((380, 560), 238))
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = _ROTATED
    return _file(np.rot90(photo), "JPEG", exif=exif)


def _cut_out(image: Images, _: np.random.Generator) -> bytes:
    grey, covers = _article(image, 300)
    return _file(np.stack([grey, grey, grey, 255 * covers], axis=2), "PNG")


def _light_on_dark(image: Images, random: np.random.Generator) -> bytes:
    photo = 255 - _laid(image, _off_centre(random), _plain((480, 640), 240))
    return _file(photo + random.normal(0, 3, photo.shape), "JPEG")


def _everything(image: Images, random: np.random.Generator) -> bytes:
    photo = _laid(image, _off_centre(random), _uneven((480, 640), random), shadow=0.3)
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = _ROTATED
    return _file(np.rot90(_dyed(photo, random)), "JPEG", exif=exif)


def _dyed(photo: _Plane, random: np.random.Generator) -> _Plane:
    """Return a colour (height, width, 3) for each grey: from a dye, for black, to paper, for white."""
    dye = np.array(_DYES[random.integers(len(_DYES))], np.float64)
    share = photo[..., np.newaxis] / 255
    mixed: _Plane = share * np.array(_PAPER) + (1 - share) * dye * 0.6
    return mixed


def _file(pixels: _Plane, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    picture.save(file, kind, **options)
    return file.getvalue()


_KINDS: dict[str, Callable[[Images, np.random.Generator], bytes]] = {
    "dark on light": _dark_on_light,
    "off-centre": _moved,
    "uneven light, soft shadow": _shadowed,
    "in colour": _coloured,
    "rotated by EXIF": _turned,
    "transparent": _cut_out,
    "light on dark, off-centre": _light_on_dark,
    "all of it": _everything,
}


def main() -> None:
    """Measure, and print a table."""
    from fmnist.apps.containers.predict import PredictContainer  # a test needs only the photographs

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", nargs="?", default="models:/dev.fashion-mnist-classifier/1")
    parser.add_argument("--images", type=int, default=500)
    arguments = parser.parse_args()
    container = PredictContainer(settings=load_environment())
    prediction = container.prediction(arguments.model)
    registry = container.data_registry()
    test = registry.read(registry.resolve(prediction.info.data_version), "test").head(arguments.images)
    found: dict[str, tuple[list[Images], list[Images]]] = {kind: ([], []) for kind in _KINDS}
    for number, image in enumerate(test.images):
        for kind, photo in photographs(image, number):
            found[kind][0].append(decode_picture(photo, MOST_PIXELS)[0])
            found[kind][1].append(prepare_photograph(photo, MOST_PIXELS, frozenset()).image)

    def accuracy(images: Sequence[Images]) -> float:
        return float((prediction.probabilities(np.stack(images)).argmax(axis=1) == test.labels).mean())

    print(f"{'photograph':<28}{'as it is':>10}{'prepared':>10}")
    print(f"{'the images themselves':<28}{accuracy(list(test.images)):>10.1%}")
    for kind, (plain, prepared) in found.items():
        print(f"{kind:<28}{accuracy(plain):>10.1%}{accuracy(prepared):>10.1%}")


if __name__ == "__main__":
    main()
