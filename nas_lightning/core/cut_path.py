"""Whether a genotype's network looks at its input at all."""

import torch

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace

__all__ = ["CUT", "cuts_every_path"]

CUT = (
    "the found genotype cuts every path from the image to the output: its child gives the same "
    "answer to every image, by the biases of its last layers"
)


def cuts_every_path(space: SearchSpace, genotype: Genotype) -> bool:
    """Returns whether no path leads from the input of a genotype's child to its output.

    Then a part of the child sees zeros alone, and its output is constant. The child is built on
    the meta device, where nothing is computed; on which images does not matter.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> space = NasBench201Space()
    >>> empty = {choice.name: "none" for choice in space.choices}
    >>> cuts_every_path(space, space.genotype(empty))
    True
    >>> cuts_every_path(space, space.genotype(empty | {"edge_0_3": "skip_connect"}))
    False
    """
    shape, num = space.scale.input_shape, space.scale.num_outputs
    scale = space.scale.of_data(shape or (3, 32, 32), num or 2)
    with torch.device("meta"), torch.enable_grad():
        child = space.child(genotype, scale)
        x = torch.empty((1, *scale.sample_shape()), requires_grad=True)
        logits = child.eval()(x)
    (gradient,) = torch.autograd.grad(logits.sum(), x, allow_unused=True)
    return gradient is None
