"""The off-the-shelf network beside a found one: a small ResNet of about its size."""

from functools import partial

import torch
from torch import Tensor, nn

from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import DropPath

__all__ = ["ResidualNetwork", "nearest_width", "takes_residual"]

WIDEST = 1 << 14
Size = tuple[int, int]  # of a kernel, or a stride; (1, n) of signals


class ResidualNetwork(nn.Module):
    """A ResNet of three blocks, each of two convolutions, at 1, 2 and 4 times `width` channels.

    Source: He et al., Deep residual learning for image recognition, 2016 (arXiv:1512.03385),
    section 4.2 with n = 1, shortcuts of option B. Deliberate differences: on signals kernels have
    one axis; `stem="imagenet"` reads images as in section 4.1, by a strided convolution and a pool.

    >>> scale = Scale(input_shape=(3, 32, 32), num_outputs=10)
    >>> sum(p.numel() for p in ResidualNetwork(16, scale).parameters())
    78042
    """

    def __init__(self, width: int, scale: Scale) -> None:
        super().__init__()
        self.is_signal, norm = scale.axes == 1, Norm.of(scale)
        size = partial(_along, is_signal=self.is_signal)
        channels = scale.maps()[0]
        if scale.stem == "imagenet":
            first = nn.Conv2d(channels, width, size(7), size(2), size(7, half=True), bias=False)
            pool = nn.MaxPool2d(size(3), size(2), size(3, half=True))
            self.stem = nn.Sequential(first, norm.always_affine(width), nn.ReLU(), pool)
        else:
            first = nn.Conv2d(channels, width, size(3), 1, size(3, half=True), bias=False)
            self.stem = nn.Sequential(first, norm.always_affine(width), nn.ReLU())
        kernel, padding = size(3), size(3, half=True)
        self.blocks = nn.ModuleList(
            _Block(before, after, kernel, padding, size(2) if before < after else (1, 1), norm)
            for before, after in ((width, width), (width, 2 * width), (2 * width, 4 * width))
        )
        self.classifier = nn.Linear(4 * width, scale.outputs())

    def forward(self, x: Tensor, drop_path: DropPath | None = None) -> Tensor:
        """Returns the outputs of images (N, C, H, W) or signals (N, C, L)."""
        x = self.stem(x.unsqueeze(2) if self.is_signal else x)
        for block in self.blocks:
            x = block(x, drop_path)
        out: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return out


class _Block(nn.Module):
    def __init__(
        self, before: int, after: int, kernel: Size, padding: Size, stride: Size, norm: Norm
    ) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(before, after, kernel, stride, padding, bias=False),
            norm.always_affine(after),
            nn.ReLU(),
            nn.Conv2d(after, after, kernel, 1, padding, bias=False),
            norm.always_affine(after),
        )
        shortcut = nn.Conv2d(before, after, 1, stride, bias=False)
        is_same = before == after
        self.shortcut = (
            nn.Identity() if is_same else nn.Sequential(shortcut, norm.always_affine(after))
        )

    def forward(self, x: Tensor, drop_path: DropPath | None) -> Tensor:
        out = self.branch(x)
        if drop_path is not None:
            out = drop_path(out, self.training)
        return torch.relu(out + self.shortcut(x))


def takes_residual(scale: Scale) -> bool:
    """Returns whether inputs are images or signals, and no tables."""
    return len(scale.sample_shape()) in (2, 3)


def nearest_width(parameters: int, scale: Scale) -> int:
    """Returns the width whose `ResidualNetwork` has the number of parameters that is nearest.

    >>> nearest_width(78_000, Scale(input_shape=(3, 32, 32), num_outputs=10))
    16
    """
    low, high = 1, WIDEST
    while high - low > 1:
        middle = (low + high) // 2
        if _parameters(middle, scale) <= parameters:
            low = middle
        else:
            high = middle
    return min(low, high, key=lambda width: abs(_parameters(width, scale) - parameters))


def _parameters(width: int, scale: Scale) -> int:
    with torch.device("meta"):
        network = ResidualNetwork(width, scale)
    return sum(param.numel() for param in network.parameters())


def _along(size: int, is_signal: bool, half: bool = False) -> Size:
    """Returns a size along the axes of images or signals, or the padding of such a kernel."""
    number = size // 2 if half else size
    return (0 if half else 1, number) if is_signal else (number, number)
