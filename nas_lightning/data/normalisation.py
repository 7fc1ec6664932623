"""From pixels or other numbers to the floats that a network sees, by training statistics."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Normalisation", "Standardisation", "standardisation_of", "statistics"]


@dataclass(frozen=True)
class Normalisation:
    """Pixels to floats: (pixel / 255 - mean) / std, channel by channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """Returns images, uint8 (N, C, H, W), as normalised float32."""
        mean = torch.tensor(self.mean, device=images.device) * 255
        scale = 1 / (torch.tensor(self.std, device=images.device) * 255)
        floats = images.to(torch.float32)
        return floats.sub_(mean[:, None, None]).mul_(scale[:, None, None])


def statistics(images: Iterable[Tensor]) -> Normalisation:
    """Returns the exact mean and deviation per channel of uint8 (n, C, H, W); 1 if constant."""
    counts = torch.zeros((), dtype=torch.int64)
    for batch in images:
        channels = batch.cpu().transpose(0, 1).flatten(1)
        counts = counts + torch.stack([torch.bincount(each, minlength=256) for each in channels])
    share = counts.double() / counts.sum(1, keepdim=True)
    levels = torch.arange(256, dtype=torch.float64) / 255
    mean = share @ levels
    std = (share * (levels - mean[:, None]).square()).sum(1).sqrt()
    std[(share == 1).any(1)] = 1
    return Normalisation(tuple(mean.tolist()), tuple(std.tolist()))


@dataclass(frozen=True)
class Standardisation:
    """Numbers to floats: (x - mean) / std, by channel of signals or feature of a table."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """Returns signals (N, C, L) or a table (N, features), of any type, as float32."""
        shape = (-1, *[1] * (x.ndim - 2))
        mean, std = (torch.tensor(each, dtype=torch.float64) for each in (self.mean, self.std))
        return ((x.double() - mean.view(shape)) / std.view(shape)).float()


def standardisation_of(x: Tensor) -> Standardisation:
    """Returns the mean and deviation per channel or feature; 1 if constant."""
    columns = x.double().transpose(0, 1).flatten(1)
    std, mean = torch.std_mean(columns, dim=1, correction=0)
    std = torch.where(columns.amax(1) > columns.amin(1), std, torch.ones_like(std))
    return Standardisation(tuple(mean.tolist()), tuple(std.tolist()))
