"""A head as numbers: ellipsoids of tissue, folded grey matter and noise, on any grid (coordinates in mm, LPS)."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Point = tuple[float, float, float]
Grid = tuple[Image, Image, Image]  # x to the left, y to the back, z to the top; broadcastable

# Signal of each tissue, in arbitrary units; noise is the standard deviation in both channels (Rician).
T1: Mapping[str, float] = MappingProxyType(
    {"fat": 900, "muscle": 330, "bone": 60, "csf": 120, "grey": 480, "white": 760, "eye": 160, "lens": 420, "noise": 9}
)
FLAIR: Mapping[str, float] = MappingProxyType(
    {"fat": 520, "muscle": 260, "bone": 40, "csf": 50, "grey": 560, "white": 430, "eye": 90, "lens": 300, "noise": 8}
)


@dataclass(frozen=True)
class Ellipsoid:
    """A tissue's place: centre and half axes in mm; later ones are painted over earlier ones."""

    tissue: str
    centre: Point
    axes: Point


_OUTSIDE = (
    Ellipsoid("muscle", (0, 12, -105), (48, 52, 80)),  # neck
    Ellipsoid("fat", (0, -92, -42), (11, 14, 17)),  # nose
    Ellipsoid("muscle", (0, -40, -78), (44, 46, 34)),  # jaw
    Ellipsoid("fat", (-71, 8, -32), (6, 12, 22)),  # ears
    Ellipsoid("fat", (71, 8, -32), (6, 12, 22)),
    Ellipsoid("fat", (0, 0, 0), (73, 93, 88)),  # scalp
    Ellipsoid("bone", (0, 0, 0), (69, 89, 84)),
    Ellipsoid("muscle", (0, -48, -50), (40, 40, 34)),  # face below the skull
    Ellipsoid("bone", (0, -58, -46), (13, 24, 14)),  # air of the nose and sinuses
)
_BRAIN = Ellipsoid("csf", (0, 2, 8), (62, 80, 70))
_INSIDE = (
    Ellipsoid("white", (0, 26, -52), (12, 12, 26)),  # brain stem
    Ellipsoid("grey", (-22, 46, -44), (27, 24, 19)),  # cerebellum
    Ellipsoid("grey", (22, 46, -44), (27, 24, 19)),
    Ellipsoid("white", (-20, 46, -43), (17, 13, 9)),
    Ellipsoid("white", (20, 46, -43), (17, 13, 9)),
    Ellipsoid("white", (0, 4, 22), (14, 38, 7)),  # corpus callosum
    Ellipsoid("csf", (-10, -6, 13), (5, 27, 9)),  # ventricles
    Ellipsoid("csf", (10, -6, 13), (5, 27, 9)),
    Ellipsoid("csf", (-20, 30, 4), (5, 15, 11)),
    Ellipsoid("csf", (20, 30, 4), (5, 15, 11)),
    Ellipsoid("csf", (0, 6, -4), (2.5, 12, 9)),
    Ellipsoid("csf", (0, 34, -36), (5, 6, 8)),
    Ellipsoid("grey", (-11, 10, -2), (7, 13, 8)),  # thalamus
    Ellipsoid("grey", (11, 10, -2), (7, 13, 8)),
    Ellipsoid("grey", (-24, -8, 0), (7, 18, 10)),  # putamen
    Ellipsoid("grey", (24, -8, 0), (7, 18, 10)),
)
_EYES = (
    Ellipsoid("fat", (-31, -76, -24), (16, 15, 15)),
    Ellipsoid("fat", (31, -76, -24), (16, 15, 15)),
    Ellipsoid("eye", (-31, -80, -24), (12, 12, 12)),
    Ellipsoid("eye", (31, -80, -24), (12, 12, 12)),
    Ellipsoid("lens", (-31, -90, -24), (4, 2, 4)),
    Ellipsoid("lens", (31, -90, -24), (4, 2, 4)),
)
_EDGE = 1.2  # mm over which one tissue gives way to the next
_FISSURE = np.float32(1.2)  # mm from the middle to the hemispheres
_MANTLE = np.float32(3.5)  # mm from the middle to white matter
_MEETING = np.float32(0.6)  # depth, 1 on the brain's surface, below which the hemispheres are joined
_FOLDS = 2 * np.pi / 26  # a gyrus and its sulcus every 26 mm


def draw(grid: Grid, signal: Mapping[str, float], generator: np.random.Generator) -> NDArray[np.uint16]:
    """The head on a grid of points (mm), with the tissues' signals; same shape as the grid, values 0 to 4095."""
    image = np.zeros(np.broadcast_shapes(*(axis.shape for axis in grid)), np.float32)
    for part in _OUTSIDE:
        _paint(image, _inside(grid, part), signal[part.tissue])
    _paint_brain(image, grid, signal)
    for part in _INSIDE + _EYES:
        _paint(image, _inside(grid, part), signal[part.tissue])
    return _noisy(image, signal["noise"], generator)


def _paint(image: Image, share: Image, value: float) -> None:
    image += share * (np.float32(value) - image)


def _inside(grid: Grid, part: Ellipsoid) -> Image:
    """Share of each point that lies inside, from 0 to 1 over the edge."""
    radius = min(part.axes)
    share: Image = np.clip((1 - _distance(grid, part)) * np.float32(radius / _EDGE) + np.float32(0.5), 0, 1)
    return share


def _distance(grid: Grid, part: Ellipsoid) -> Image:
    """Distance from the centre in half axes: 1 on the surface."""
    squares = [
        ((axis - np.float32(middle)) / np.float32(half)) ** 2
        for axis, middle, half in zip(grid, part.centre, part.axes, strict=True)
    ]
    distance: Image = np.sqrt(squares[0] + squares[1] + squares[2])
    return distance


def _paint_brain(image: Image, grid: Grid, signal: Mapping[str, float]) -> None:
    """Fluid, then grey matter with sulci, then white matter under a folded surface (a gyroid gives the folds)."""
    x, y, z = (np.float32(_FOLDS) * axis for axis in grid)
    folds = np.abs(np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x))
    depth = _distance(grid, _BRAIN)
    apart = np.clip(np.abs(grid[0]) - _FISSURE, 0, 1)  # the halves meet only deep inside
    halves = np.maximum(apart, np.clip((_MEETING - depth) * 20, 0, 1))
    _paint(image, _inside(grid, _BRAIN), signal["csf"])
    sulci = np.clip(folds * 6 + (np.float32(0.86) - depth) * 14, 0, 1)
    _paint(image, np.clip((np.float32(0.97) - depth) * 40, 0, 1) * sulci * halves, signal["grey"])
    under = np.clip((np.float32(0.8) + np.float32(0.09) * folds - depth) * 30, 0, 1)
    valleys = np.clip((folds - np.float32(0.16)) * 5 + (np.float32(0.72) - depth) * 20, 0, 1)
    inner = np.maximum(np.clip(np.abs(grid[0]) - _MANTLE, 0, 1), np.clip((_MEETING - depth) * 20, 0, 1))
    _paint(image, under * valleys * inner, signal["white"])


def _noisy(image: Image, sigma: float, generator: np.random.Generator) -> NDArray[np.uint16]:
    """Magnitude of a signal with noise in both channels."""
    noise = generator.standard_normal((2, *image.shape), dtype=np.float32) * np.float32(sigma)
    magnitude = np.hypot(image + noise[0], noise[1])
    pixels: NDArray[np.uint16] = np.clip(np.rint(magnitude), 0, 4095).astype(np.uint16)
    return pixels
