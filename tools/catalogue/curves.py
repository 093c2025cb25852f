"""Outlines in product space: 100 by 100 units, x to the right, y down, centre at (50, 50).

Every outline is a plain list of points, so that a view can turn it before it becomes pixels and
the light still falls from where the scene says.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import cos, hypot, pi, radians, sin

Point = tuple[float, float]
Points = list[Point]


def smooth(points: Sequence[Point], closed: bool = True, steps: int = 14) -> Points:
    """Return a Catmull-Rom curve through the points; a point given twice is a corner."""
    count = len(points)
    curve: Points = []
    for i in range(count if closed else count - 1):
        before, here, there, after = (_neighbour(points, i + k, closed) for k in (-1, 0, 1, 2))
        if here == there:
            continue
        curve += [_spline(before, here, there, after, step / steps) for step in range(steps)]
    return curve if closed else [*curve, points[-1]]


def _neighbour(points: Sequence[Point], index: int, closed: bool) -> Point:
    return points[index % len(points)] if closed else points[min(max(index, 0), len(points) - 1)]


def _spline(a: Point, b: Point, c: Point, d: Point, t: float) -> Point:
    """Return a point between b and c; centripetal, so that uneven spacing makes no bulges."""
    first, middle, last = (
        hypot(q[0] - p[0], q[1] - p[1]) ** 0.5 for p, q in pairwise((a, b, c, d))
    )
    leaving = _handle(a, b, c, first, middle)
    arriving = _handle(d, c, b, last, middle)
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    corners = (b, leaving, arriving, c)
    return (
        sum(w * p[0] for w, p in zip(weights, corners, strict=True)),
        sum(w * p[1] for w, p in zip(weights, corners, strict=True)),
    )


def _handle(far: Point, here: Point, other: Point, before: float, after: float) -> Point:
    """Return the Bezier handle at ``here`` towards ``other``; at a corner there is none."""
    if before == 0:
        return here
    keep = 2 * before**2 + 3 * before * after + after**2
    share = 3 * before * (before + after)
    x, y = (
        (before**2 * o - after**2 * f + keep * h) / share
        for f, h, o in zip(far, here, other, strict=True)
    )
    return x, y


def arc(
    centre: Point, rx: float, ry: float, start_deg: float, end_deg: float, steps: int = 48
) -> Points:
    """Return an open arc; 0 degrees points right and angles grow clockwise."""
    angles = [radians(start_deg + (end_deg - start_deg) * i / steps) for i in range(steps + 1)]
    return [(centre[0] + rx * cos(a), centre[1] + ry * sin(a)) for a in angles]


def ellipse(centre: Point, rx: float, ry: float | None = None, turn_deg: float = 0.0) -> Points:
    """Return a closed ellipse, turned clockwise about its own centre."""
    flat = arc((0.0, 0.0), rx, rx if ry is None else ry, 0, 360, 72)
    return [move_point(p, centre, turn_deg) for p in flat]


def move_point(point: Point, to: Point, turn_deg: float = 0.0) -> Point:
    """Return the point turned about the origin and then shifted to ``to``."""
    c, s = cos(radians(turn_deg)), sin(radians(turn_deg))
    return to[0] + c * point[0] - s * point[1], to[1] + s * point[0] + c * point[1]


def move(points: Sequence[Point], to: Point, turn_deg: float = 0.0) -> Points:
    """Return the points turned about the origin and then shifted to ``to``."""
    return [move_point(p, to, turn_deg) for p in points]


def box(left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> Points:
    """Return a rectangle with rounded corners."""
    if radius <= 0:
        return [(left, top), (right, top), (right, bottom), (left, bottom)]
    corners = [
        ((right - radius, top + radius), 270),
        ((right - radius, bottom - radius), 0),
        ((left + radius, bottom - radius), 90),
        ((left + radius, top + radius), 180),
    ]
    return [p for centre, start in corners for p in arc(centre, radius, radius, start, start + 90)]


def star(centre: Point, outer: float, inner: float, spikes: int, turn_deg: float = 0.0) -> Points:
    """Return a star; with a close inner and outer radius it reads as a sun or a seal."""
    radii = [outer if i % 2 == 0 else inner for i in range(spikes * 2)]
    flat = [(r * cos(i * pi / spikes), r * sin(i * pi / spikes)) for i, r in enumerate(radii)]
    return move(flat, centre, turn_deg)


def leaf(base: Point, length: float, width: float, turn_deg: float) -> Points:
    """Return a pointed leaf that grows from its base; 0 degrees points right."""
    half = [(length * t, width * 2.2 * t * (1 - t) * (1.35 - 0.7 * t)) for t in _steps(20)]
    other = [(x, -y) for x, y in reversed(half)]
    return move([*half, *other], base, turn_deg)


def between(start: Point, end: Point, count: int) -> Points:
    """Return ``count`` evenly spaced points from start to end, both included."""
    return [
        (start[0] + (end[0] - start[0]) * t, start[1] + (end[1] - start[1]) * t)
        for t in _steps(count - 1)
    ]


def _steps(count: int) -> list[float]:
    return [i / count for i in range(count + 1)]
