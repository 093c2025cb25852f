"""What a product is, and how the products of each category are photographed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tools.catalogue.canvas import Canvas
from tools.catalogue.palette import Palette
from tools.catalogue.scene import Pose, Scene
from tools.catalogue.view import View

Draw = Callable[[Canvas, Palette], None]


@dataclass(frozen=True)
class Category:
    """A shelf, whose products are all photographed in the same way."""

    name: str  # also the folder of its pictures
    pose: Pose
    size_px: int
    views: tuple[View, ...]  # of the first, second and third picture of a product
    first_suffix: str = ".jpg"  # ``.png`` where makers send their own lossless picture


@dataclass(frozen=True)
class Product:
    """One thing for sale, shown in the same colours on all its pictures."""

    category: Category
    product_id: str  # also the start of its file names
    name: str
    colour: str  # as a shopper would say it
    brand: str  # invented
    price: str  # in euros, with two decimals
    draw: Draw
    palette: Palette
    scenes: tuple[Scene, ...]  # one picture is taken in each, with the category's views in order


@dataclass(frozen=True)
class Shot:
    """One picture to take."""

    path: str  # relative to the output folder, POSIX
    draw: Draw
    palette: Palette
    pose: Pose
    view: View
    scene: Scene
    size_px: int


def plan_shots(product: Product) -> Iterator[Shot]:
    """Yield the pictures to take of a product."""
    shelf = product.category
    views = shelf.views[: len(product.scenes)]
    for number, (view, scene) in enumerate(zip(views, product.scenes, strict=True), start=1):
        suffix = shelf.first_suffix if number == 1 else ".jpg"
        path = f"{shelf.name}/{product.product_id}-{number}{suffix}"
        yield Shot(path, product.draw, product.palette, shelf.pose, view, scene, shelf.size_px)
