"""The network that refines landmarks on close-ups of eye, mouth, nose and jaw."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.landmark_network import HeatMaps, Residual, convolution
from freetalk_blender.core.detection.close_view import CHANNELS, CLOSE_SIZE


class CloseLandmarks(HeatMaps):
    """picture (B, 4, 64, 64) -> place (B, 49, 2) in [-1, 1] right and up, spread (B, 49) expected error (same unit).

    One U-Net for all parts; of the 49 points only those of the part in the picture mean anything
    (freetalk_blender/core/detection/close_view.py). Heat maps become coordinates as in FaceLandmarks.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(convolution(4, 32, 2), Residual(32))
        self.quarter = nn.Sequential(convolution(32, 64, 2), Residual(64), Residual(64))
        self.eighth = nn.Sequential(convolution(64, 96, 2), Residual(96), Residual(96, 2))
        self.up_quarter = nn.ModuleList([nn.Conv2d(96, 64, 1), Residual(64)])
        self.up_half = nn.ModuleList([nn.Conv2d(64, 48, 1), nn.Conv2d(32, 48, 1), convolution(48, 48)])
        self.maps = nn.Conv2d(48, CHANNELS, 1)
        self.widen = nn.Parameter(torch.stack([torch.zeros(CHANNELS), torch.full((CHANNELS,), 0.5)]))
        cells = CLOSE_SIZE // 2
        line = (torch.arange(cells) + 0.5) * 2 / cells - 1
        self.register_buffer("columns", line.clone())
        self.register_buffer("rows", -line)

    def heat(self, picture: Tensor) -> Tensor:
        """Map logits (B, 49, 32, 32)."""
        half = self.fine(picture)
        quarter = self.quarter(half)
        deep = self.eighth(quarter)
        up = self.up_quarter[1](quarter + F.interpolate(self.up_quarter[0](deep), scale_factor=2.0, mode="nearest"))
        up = F.interpolate(self.up_half[0](up), scale_factor=2.0, mode="nearest")
        return self.maps(self.up_half[2](self.up_half[1](half) + up))

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        return self.places(self.heat(picture))
