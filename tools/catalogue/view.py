"""How the camera sees a product: a turn in space, a distance and a place in the frame."""

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from tools.catalogue.curves import Point

Matrix = NDArray[np.float64]

CAMERA_DISTANCE_UNITS = 300.0  # near enough for a visible perspective, far enough for a long lens


@dataclass(frozen=True)
class View:
    """One position of the camera; the default looks straight at the product."""

    roll_deg: float = 0.0  # turned clockwise in the picture plane
    yaw_deg: float = 0.0  # turned about the upright axis: the right side goes back
    pitch_deg: float = 0.0  # tipped about the level axis: the top goes back
    scale: float = 1.0  # 1 fills the frame with the product's 100 units
    shift: Point = (0.0, 0.0)  # where the centre goes, in units from the middle of the frame
    mirrored: bool = False  # left and right exchanged: the other side of a symmetric product

    def matrix(self, frame_px: int) -> Matrix:
        """Return the 3x3 homography from product units to pixels of a square frame."""
        turn = self._turn()
        flip = -1.0 if self.mirrored else 1.0
        flat = np.column_stack([turn[:, 0] * flip, turn[:, 1], [0.0, 0.0, CAMERA_DISTANCE_UNITS]])
        unit_px = frame_px / 100.0
        focal = CAMERA_DISTANCE_UNITS * self.scale * unit_px
        centre_x, centre_y = (frame_px / 2.0 + s * unit_px for s in self.shift)
        lens = np.array([[focal, 0.0, centre_x], [0.0, focal, centre_y], [0.0, 0.0, 1.0]])
        to_origin = np.array([[1.0, 0.0, -50.0], [0.0, 1.0, -50.0], [0.0, 0.0, 1.0]])
        matrix: Matrix = lens @ flat @ to_origin
        scaled: Matrix = matrix / matrix[2, 2]
        return scaled

    def _turn(self) -> Matrix:
        roll, yaw, pitch = (radians(d) for d in (self.roll_deg, self.yaw_deg, self.pitch_deg))
        about_z = np.array([[cos(roll), -sin(roll), 0], [sin(roll), cos(roll), 0], [0, 0, 1]])
        about_y = np.array([[cos(yaw), 0, -sin(yaw)], [0, 1, 0], [sin(yaw), 0, cos(yaw)]])
        about_x = np.array([[1, 0, 0], [0, cos(pitch), sin(pitch)], [0, -sin(pitch), cos(pitch)]])
        turned: Matrix = about_z @ about_y @ about_x
        return turned
