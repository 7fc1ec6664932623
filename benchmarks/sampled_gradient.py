"""Measures what a single sampled path tells of its options, on the planted problem.

    python benchmarks/sampled_gradient.py [--steps 1280] [--seed 0] [--lr 0.05] [--decay 0]

Uniform paths train a supernet. On validation batches, each sampled option gets the gradient of
its weight, which is all that GDAS learns of it, and the loss of the paths that it was part of.
"""

import argparse
from random import Random

import torch
from planted_problem.images import planted
from planted_problem.problem import BRIGHTNESS
from planted_problem.spaces import Planted, PlantedCells, PlantedLayers
from torch.nn.functional import cross_entropy

from nas_lightning.core.choices import Mixture
from nas_lightning.core.scale import Scale

MOMENTUM, BATCH = 0.9, 32
KINDS = ("right view", "other view", "brightness")


def kinds_of(space: Planted) -> dict[tuple[int, int], str]:
    """Returns the kind of each option of an operation, by its place in the mixture."""
    best, kinds = space.best().mapping, {}
    for row, choice in enumerate(space.choices):
        for column, option in enumerate(choice.options if choice.kind == "op" else ()):
            wrong = BRIGHTNESS if option == BRIGHTNESS else "other view"
            kinds[row, column] = "right view" if option == best[choice.name] else wrong
    return kinds


def measure(
    space: Planted, steps: int, seed: int, lr: float, decay: float
) -> dict[str, tuple[float, float]]:
    """Returns mean gradient and loss of each kind of option over the second half of the steps."""
    images = planted()
    x = (images.train.read(torch.arange(len(images.train))).float() - 128.0) / 64.0
    y, half = images.train_labels, len(images.train) // 2
    torch.manual_seed(seed)
    supernet = space.supernet(Scale(8, 3, input_shape=tuple(x.shape[1:]), num_outputs=4))
    optimizer = torch.optim.SGD(supernet.parameters(), lr, MOMENTUM, weight_decay=decay)
    rng, kinds = Random(seed), kinds_of(space)
    skips = {c.group: row for row, c in enumerate(space.choices) if c.kind == "skip"}
    told: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for step in range(steps):
        train, val = torch.randint(half, (BATCH,)), torch.randint(half, 2 * half, (BATCH,))
        loss = cross_entropy(supernet(x[train], space.mixture(space.sample(rng))), y[train])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step >= steps // 2:
            path = space.mixture(space.sample(rng))
            weights = path.weights.clone().requires_grad_()
            loss = cross_entropy(supernet(x[val], Mixture(weights, path.support)), y[val])
            (grad,) = torch.autograd.grad(loss, weights)
            for (row, column), kind in kinds.items():
                skip = skips.get(space.choices[row].group)
                has_run = skip is None or path.weights[skip, 1]  # yes
                if has_run and path.weights[row, column]:
                    told[kind].append((float(grad[row, column]), float(loss.detach())))
    return {kind: tuple(torch.tensor(pairs).mean(dim=0).tolist()) for kind, pairs in told.items()}


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1280)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--decay", type=float, default=0.0)
    arguments = parser.parse_args()
    print("| space | option | mean gradient of its weight | mean loss of its paths |")
    print("| --- | --- | --- | --- |")
    for space in (PlantedCells(), PlantedLayers()):
        for kind, (grad, loss) in measure(space, **vars(arguments)).items():
            print(f"| {space.name} | {kind} | {grad:+.4f} | {loss:.3f} |")


if __name__ == "__main__":
    main()
