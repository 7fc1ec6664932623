"""The planted problem: a task whose best genotype is known by construction.

An image is a stack of planes. Each plane holds a texture that tells the class, not too reliably,
so that every plane adds to what is known; but its pixels are scrambled in one of three ways: only
the view that undoes it leaves a texture that a convolution can see, any other leaves noise. A
plane's brightness tells half of the class, plainly and less reliably, and views do not see it. The
decoy is the option that looks at nothing else: its loss falls fastest in the first steps, and ends
higher. So the best option of each choice is the view that undoes its own plane.
"""

from functools import lru_cache
from random import Random

from nas_lightning.core.seeding import keyed_seed

__all__ = ["BRIGHTNESS", "PLANES", "VIEWS", "right_view", "view_order"]

VIEWS = ("view_a", "view_b", "view_c")
BRIGHTNESS = "brightness"
PLANES = 6


def right_view(plane: int) -> str:
    """Returns the view that undoes the scrambling of a plane (0-based)."""
    return VIEWS[(0, 1, 2, 1, 0, 2)[plane % PLANES]]


@lru_cache(maxsize=8)  # every branch of a network asks for one of three
def view_order(view: str, num_pixels: int) -> tuple[int, ...]:
    """Returns, for each pixel of a view, the pixel of the plane that it shows.

    Args:
        view: one of `VIEWS`.
        num_pixels: pixels of a plane.
    """
    order = list(range(num_pixels))
    Random(keyed_seed("planted view", view, num_pixels)).shuffle(order)
    return tuple(order)
