"""The two networks of landmark detection: one says where a face is and how it is turned, one places its 68 points."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from freetalk_blender.core.detection.face_view import FACE_SIZE

LANDMARKS = 68


def convolution(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def heat_places(maps: Tensor, columns: Tensor, rows: Tensor, widen: Tensor) -> tuple[Tensor, Tensor]:
    """Map logits (B, K, H, W), columns (W,), rows (H,), widen (2, K) -> place (B, K, 2), spread (B, K).

    The place is the map's mean; the spread is learned from its width.
    """
    share = torch.softmax(maps.flatten(2), -1).unflatten(2, maps.shape[2:])
    across, down = share.sum(2), share.sum(3)
    x, y = (across * columns).sum(-1), (down * rows).sum(-1)
    variance = (across * (columns - x[..., None]) ** 2).sum(-1) + (down * (rows - y[..., None]) ** 2).sum(-1)
    spread = torch.exp(widen[0] + widen[1] * torch.log(variance.detach() + 1e-6))
    return torch.stack([x, y], -1), spread


class HeatMaps(nn.Module):
    """A network whose heat maps become coordinates: columns (W,) and rows (H,) of their cells, widen (2, K)."""

    columns: Tensor
    rows: Tensor
    widen: nn.Parameter

    def places(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Map logits (B, K, H, W) -> place (B, K, 2), spread (B, K)."""
        return heat_places(maps, self.columns, self.rows, self.widen)


class Residual(nn.Module):
    """x + two convolutions."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = convolution(channels, channels, dilation=dilation)
        self.second = convolution(channels, channels, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


class FaceSearch(nn.Module):
    """picture (B, 3, H, W) normals, H and W multiples of 8 -> (B, 10, H/8, W/8).

    Channels: face logit; offset right, up (cells) from the cell's centre to the face's search point; log of the eye
    distance in pixels over SEARCH_EYE; the face's right-to-left and up axes in the picture's frame (3 + 3).
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(3, 24, 2),
            convolution(24, 40, 2),
            Residual(40),
            convolution(40, 80, 2),
            Residual(80),
            Residual(80, 2),
            Residual(80),
        )
        self.head = nn.Conv2d(80, 10, 1)

    def forward(self, picture: Tensor) -> Tensor:
        return self.head(self.body(picture))


class FaceLandmarks(HeatMaps):
    """picture (B, 4, 128, 128) -> place (B, 68, 2) in [-1, 1] right and up, spread (B, 68) expected error (same unit),
    face (B,) logit.

    A U-Net whose heat maps become coordinates as their mean (Nibali et al. 2018, "Numerical coordinate regression with
    convolutional neural networks", eq. 3); the spread is learned from each map's own width.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(convolution(4, 24, 2), convolution(24, 24))
        self.quarter = nn.Sequential(convolution(24, 48, 2), Residual(48))
        self.eighth = nn.Sequential(convolution(48, 96, 2), Residual(96), Residual(96))
        self.sixteenth = nn.Sequential(convolution(96, 112, 2), Residual(112), Residual(112))
        self.up_eighth = nn.ModuleList([nn.Conv2d(112, 96, 1), Residual(96)])
        self.up_quarter = nn.ModuleList([nn.Conv2d(96, 48, 1), Residual(48)])
        self.up_half = nn.ModuleList([nn.Conv2d(48, 32, 1), nn.Conv2d(24, 32, 1), convolution(32, 32)])
        self.maps = nn.Conv2d(32, LANDMARKS, 1)
        self.widen = nn.Parameter(torch.stack([torch.zeros(LANDMARKS), torch.full((LANDMARKS,), 0.5)]))
        self.face = nn.Linear(112, 1)
        cells = FACE_SIZE // 2
        line = (torch.arange(cells) + 0.5) * 2 / cells - 1
        self.register_buffer("columns", line.clone())
        self.register_buffer("rows", -line)

    def heat(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Map logits (B, 68, 64, 64) and face logit (B,)."""
        half = self.fine(picture)
        quarter = self.quarter(half)
        eighth = self.eighth(quarter)
        deep = self.sixteenth(eighth)
        up = self.up_eighth[1](eighth + F.interpolate(self.up_eighth[0](deep), scale_factor=2.0, mode="nearest"))
        up = self.up_quarter[1](quarter + F.interpolate(self.up_quarter[0](up), scale_factor=2.0, mode="nearest"))
        up = F.interpolate(self.up_half[0](up), scale_factor=2.0, mode="nearest")
        up = self.up_half[2](self.up_half[1](half) + up)
        return self.maps(up), self.face(deep.mean((2, 3)))[:, 0]

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps, face = self.heat(picture)
        return *self.places(maps), face
