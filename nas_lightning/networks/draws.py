"""Standard normal draws as a function of their position: what an operation of noise needs."""

from math import pi, prod

import torch
from torch import Tensor, nn

__all__ = ["NormalDraws"]

# Steele, Lea & Flood, Fast Splittable Pseudorandom Number Generators, 2014: SplitMix64, with its
# constants as signed 64-bit numbers, which torch multiplies and lets overflow.
STEP = 0x9E3779B97F4A7C15 - 2**64
FIRST = 0xBF58476D1CE4E5B9 - 2**64
SECOND = 0x94D049BB133111EB - 2**64


class NormalDraws(nn.Module):
    """A stream of standard normal draws whose position is a buffer.

    The k-th draw is a function of k alone, the same on every device up to the rounding of
    logarithm and cosine. So a checkpoint is all that resuming needs, a child that inherits the
    buffer draws what its supernet draws, and an exported child needs no generator. The first
    position is drawn like initial params: processes of one seed draw the same.

    In training a call starts where the last one ended, in evaluation always at the same position.
    """

    position: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("position", torch.randint(2**62, ()))

    def forward(self, like: Tensor, *size: int) -> Tensor:
        """Returns draws of a size, of the type and on the device of another tensor."""
        places = self.position + torch.arange(prod(size), device=like.device)
        if self.training:
            self.position.add_(prod(size))
        bits = _mixed(places)
        share = (_shifted(bits, 32) + 1).to(torch.float32) / 2**32  # in (0, 1]
        turns = (bits & (2**32 - 1)).to(torch.float32) / 2**32
        draws = torch.sqrt(-2.0 * torch.log(share)) * torch.cos(2.0 * pi * turns)  # Box-Muller
        return draws.to(like.dtype).view(size)


def _mixed(places: Tensor) -> Tensor:
    """Returns 64 practically independent bits for each 64-bit number."""
    z = places * STEP
    z = (z ^ _shifted(z, 30)) * FIRST
    z = (z ^ _shifted(z, 27)) * SECOND
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, bits: int) -> Tensor:
    """Returns z shifted right with zeros coming in; torch's own shift keeps the sign."""
    shifted: Tensor = (z >> bits) & (2 ** (64 - bits) - 1)
    return shifted
