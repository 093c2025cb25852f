"""What is round a product: a background, the shadow on it and the colour of the light."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from tools.catalogue.canvas import OVERSAMPLING, Canvas, blur
from tools.catalogue.colours import rgb

Grid = NDArray[np.float64]
Ground = Literal["sweep", "table", "planks", "asphalt", "linen"]
Pose = Literal["standing", "lying"]

SHADOW = (26, 20, 22)


@dataclass(frozen=True)
class Scene:
    """A background and its light."""

    ground: Ground
    near: str  # the colour at the bottom of the picture, or of the material
    far: str  # the colour at the top of the picture, or of its joints
    warmth: float = 0.0  # -1 is the blue of a cloudy day, +1 the yellow of a lamp
    brightness: float = 1.0
    light_from_left: bool = True


def photograph(canvas: Canvas, scene: Scene, pose: Pose) -> Image.Image:
    """Return the finished RGB picture of what was drawn on the canvas."""
    size = canvas.frame_px // OVERSAMPLING
    background = GROUNDS[scene.ground](size, scene)
    shaded = _with_shadow(
        background, canvas.image.getchannel("A").reduce(OVERSAMPLING), scene, pose
    )
    picture = shaded.resize(canvas.image.size, Image.Resampling.BICUBIC)
    picture.paste(canvas.image, mask=canvas.image.getchannel("A"))
    return _in_light(picture.resize((size, size), Image.Resampling.LANCZOS), scene)


def _with_shadow(
    background: Image.Image, alpha: Image.Image, scene: Scene, pose: Pose
) -> Image.Image:
    size = background.width
    side = 1 if scene.light_from_left else -1
    if pose == "lying":
        layers = [(_moved(alpha, side * size // 90, size // 60), size / 90, 0.42)]
        layers += [(_moved(alpha, side * size // 30, size // 22), size / 24, 0.3)]
    else:
        layers = [(_on_floor(alpha, side * 0.25, 0.16), size / 34, 0.45)]
        # Where it touches the floor: follows the lower edge, whichever way the product is turned.
        layers += [(_moved(alpha, 0, max(1, size // 90)), size / 130, 0.5)]
    for mask, radius, strength in layers:
        soft = mask.filter(ImageFilter.GaussianBlur(radius)).point(lambda v, s=strength: v * s)
        background.paste(SHADOW, mask=soft)
    return background


def _moved(mask: Image.Image, right: int, down: int) -> Image.Image:
    moved = Image.new("L", mask.size)
    moved.paste(mask, (right, down))
    return moved


def _on_floor(alpha: Image.Image, lean: float, depth: float) -> Image.Image:
    """Return the outline laid down on the floor, away from the light, from its lowest point."""
    bounds = alpha.getbbox()
    floor = Image.new("L", alpha.size)
    if bounds is None:
        return floor
    # The front edge lies a little before the product; going back by one pixel there goes up by
    # 1 / depth pixels on the product, and away from the light by ``lean`` times as much.
    height = bounds[3] - bounds[1]
    front = bounds[3] + height * depth * 0.12
    shear = (1.0, lean / depth, -lean * front / depth)
    rise = (0.0, 1.0 / depth, bounds[3] - front / depth)
    return alpha.transform(alpha.size, Image.Transform.AFFINE, (*shear, *rise))


def _in_light(picture: Image.Image, scene: Scene) -> Image.Image:
    gains = np.array([1 + 0.09 * scene.warmth, 1 + 0.01 * scene.warmth, 1 - 0.11 * scene.warmth])
    pixels = np.asarray(picture, dtype=np.float64) * gains * scene.brightness
    return Image.fromarray(np.clip(pixels, 0, 255).round().astype(np.uint8))


def _sweep(size: int, scene: Scene) -> Image.Image:
    """A paper sweep: one colour flows into the other, with a pool of light behind the product."""
    x, y = _axes(size)
    down = np.clip((y - 0.35) / 0.5, 0, 1)
    colour = _blend(scene.far, scene.near, down * down * (3 - 2 * down))
    side = 0.4 if scene.light_from_left else 0.6
    pool = np.exp(-(((x - side) / 0.55) ** 2 + ((y - 0.4) / 0.55) ** 2))
    return _picture(colour + (pool - 0.45)[..., None] * 12)


def _table(size: int, scene: Scene) -> Image.Image:
    """A wall and a table top that meet behind the product, out of focus."""
    x, y = _axes(size)
    edge = np.clip((y - 0.64) / 0.035 + 0.5, 0, 1)
    colour = _blend(scene.far, scene.near, edge)
    side = 0.3 if scene.light_from_left else 0.7
    fall = np.abs(x - side) * -14 + (y - 0.5) * np.where(edge > 0.5, 16, -10)
    return _picture(colour + fall[..., None])


def _planks(size: int, scene: Scene) -> Image.Image:
    """Wooden boards with grain."""
    rng = np.random.default_rng(21)
    x, y = _axes(size)
    board = np.floor(x * 5).astype(int)
    offset = rng.random(6)[board]
    grain = np.sin((x * 5 % 1 + 0.16 * np.sin(y * 5 + offset * 9)) * 34 + offset * 40)
    fine = blur(rng.random((size, size)), size / 20, 0) - 0.5
    tone = 0.34 * offset + 0.05 * grain + 2.4 * fine + 0.2
    colour = _blend(scene.near, scene.far, np.clip(tone, 0, 0.7))
    joint = np.abs(x * 5 - np.round(x * 5)) < 0.018
    return _picture(colour - np.where(joint, 46, 0)[..., None])


def _asphalt(size: int, scene: Scene) -> Image.Image:
    """A street with a pale kerb line behind."""
    rng = np.random.default_rng(22)
    _, y = _axes(size)
    coarse = size / 400
    stones = blur(blur(rng.random((size, size)), coarse, 0), coarse, 1) - 0.5
    wide = blur(blur(rng.random((size, size)), size / 12, 0), size / 12, 1) - 0.5
    tone = np.clip((y - 0.1) * 0.9, 0, 1)
    colour = _blend(scene.far, scene.near, tone)
    kerb = np.clip(1 - np.abs(y - 0.27) / 0.035, 0, 1)
    light = stones * 150 * np.clip(y + 0.2, 0, 1) + wide * 400 + kerb * 46
    return _picture(colour + light[..., None])


def _linen(size: int, scene: Scene) -> Image.Image:
    """Woven cloth, with slow folds."""
    rng = np.random.default_rng(23)
    x, y = _axes(size)
    weave = np.sin(x * size * 1.6) * np.sin(y * size * 1.6)
    threads = blur(rng.random((size, size)), size / 40, 0) + blur(
        rng.random((size, size)), size / 40, 1
    )
    folds = np.sin(x * 7 + y * 4 + 0.8 * np.sin(y * 5))
    tone = np.clip(0.4 + 0.3 * folds, 0, 1)
    light = weave * 4 + (threads - 1) * 50
    return _picture(_blend(scene.near, scene.far, tone) + light[..., None])


GROUNDS: dict[Ground, Callable[[int, Scene], Image.Image]] = {
    "sweep": _sweep,
    "table": _table,
    "planks": _planks,
    "asphalt": _asphalt,
    "linen": _linen,
}


def _axes(size: int) -> tuple[Grid, Grid]:
    """Return x and y of every pixel, 0 to 1."""
    steps = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid(steps, steps)
    return x, y


def _blend(start: str, end: str, share: Grid) -> Grid:
    first, last = (np.array(rgb(c), dtype=np.float64) for c in (start, end))
    blended: Grid = first + (last - first) * share[..., None]
    return blended


def _picture(pixels: Grid) -> Image.Image:
    return Image.fromarray(np.clip(pixels, 0, 255).round().astype(np.uint8))
