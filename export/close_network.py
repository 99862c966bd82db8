"""The network that refines landmarks on close-ups of eye, mouth, nose and jaw."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.landmark_network import Residual, convolution, heat_places
from freetalk_blender.core.close_view import CHANNELS, CLOSE_SIZE


class CloseLandmarks(nn.Module):
    """picture (B, 4, 64, 64) -> place (B, 49, 2) in [-1, 1] right and up, spread (B, 49) expected error (same unit).

    One U-Net for all parts; of the 49 points only those of the part in the picture mean anything
    (freetalk_blender/core/close_view.py). Heat maps become coordinates as in FaceLandmarks.
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
        self.columns: Tensor
        self.rows: Tensor
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

    def places(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Map logits -> place (B, 49, 2), spread (B, 49)."""
        return heat_places(maps, self.columns, self.rows, self.widen)

    @torch.no_grad()
    def take_over(self, weights: Mapping[str, np.ndarray], sample: Tensor) -> None:
        """Become an exported network again, whose normalisations are folded into its convolutions, to train it further.

        weights: of the file, by name; sample (B, 4, 64, 64): pictures. Each normalisation is given the mean and the
        variance of what it sees of the sample and undoes itself, so the answers are those of the file.
        """
        for name, value in self.state_dict().items():
            if name in weights:
                value.copy_(torch.from_numpy(weights[name].astype(np.float32)))
        self.widen.copy_(torch.from_numpy(np.stack([weights["select"], weights["select_1"]])))

        def settle(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
            assert isinstance(norm, nn.BatchNorm2d)
            variance, mean = torch.var_mean(given[0], (0, 2, 3))
            norm.running_mean, norm.running_var = mean, variance
            norm.weight.copy_(torch.sqrt(variance + norm.eps))
            norm.bias.copy_(mean + folded[norm])

        folded, hooks = {}, []
        for name, module in self.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                convolution_name = f"{name[: -len('.1')]}.0"
                folded[module] = torch.tensor(weights[f"{convolution_name}.weight_bias"])
                hooks.append(module.register_forward_pre_hook(settle))
        self.eval()(sample)
        for hook in hooks:
            hook.remove()

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        return self.places(self.heat(picture))
