"""A search context without Lightning: what tests of one-shot strategies share."""

from types import SimpleNamespace

import torch
from omegaconf import OmegaConf
from planted_problem.spaces import PlantedCells
from torch.func import functional_call

from nas_lightning.config.making import make
from nas_lightning.config.paths import config_dir
from nas_lightning.core.scale import Scale

SPACE = PlantedCells()
SCALE = Scale(2, 3, input_shape=(6, 8, 8), num_outputs=4)
ONE_SHOT = [
    path.stem
    for path in sorted((config_dir() / "strategy").glob("*.yaml"))
    if "epochs" in OmegaConf.load(path)
]


def one_shot(name, space=SPACE, seed=0, **more):
    """Returns a strategy by the name of its file; without partial channels, unless told."""
    node = OmegaConf.load(config_dir() / "strategy" / f"{name}.yaml")
    if name == "pc_darts" and not space.has_partial_channels:
        more = {"partial": 1} | more
    if name == "enas":
        more = {"steps": 3, "aggregate": 3, "samples": 10} | more  # tests need no more
    return make(OmegaConf.merge(node, more), "strategy", space=space, seed=seed)


class PlainContext:
    """A supernet and plain optimisers; notes what was minimised and what was validated."""

    def __init__(self, strategy, space=SPACE, scale=SCALE, seed=0):
        torch.manual_seed(seed)
        self.space, self.scale, self.lr = space, scale, 0.05
        self.supernet = space.supernet(strategy.stage(0).of(scale))
        self.params = dict(self.supernet.named_parameters())
        self.taken, self.validated, self.mixture = [], [], None
        alphas = list(strategy.parameters())
        self.groups = {"params": list(self.params.values()), "alpha": alphas}
        self.groups["both"] = self.groups["params"] + alphas
        self.optimizers = {
            "params": torch.optim.SGD(self.groups["params"], self.lr),
            "alpha": torch.optim.Adam(alphas, 0.05, (0.0, 0.999)) if alphas else None,
        }

    def loss(self, batch, mixture, params=None, statistics=False):
        self.mixture = mixture
        logits = functional_call(self.supernet, dict(params or {}), (batch[0], mixture))
        return torch.nn.functional.cross_entropy(logits, batch[1])

    def gradient(self, loss, wrt):
        if not loss.requires_grad:
            return (None,) * len(wrt)
        return torch.autograd.grad(loss, list(wrt), allow_unused=True)

    def lookahead(self, grads):
        pairs = zip(self.params.items(), grads, strict=True)
        return {n: w.detach() - (0 if g is None else self.lr * g) for (n, w), g in pairs}

    def minimise(self, which, closure):
        loss = closure()
        grads = self.gradient(loss, self.groups[which])
        self.taken.append((which, self.mixture, grads))
        for param, grad in zip(self.groups[which], grads, strict=True):
            param.grad = grad
        for name in ("params", "alpha"):
            if which in (name, "both"):
                self.optimizers[name].step()
        return loss.detach()

    def validate(self, mixture, batches, recalibrate=None, batch_statistics=False):
        how = SimpleNamespace(recalibrate=recalibrate, batch_statistics=batch_statistics)
        self.validated.append((mixture, how))
        return float((mixture.weights * self.worth).sum())

    worth = torch.zeros(())

    def cost(self, mixture):
        return self.space.cost(self.scale).of(mixture)


def batch(size=6, seed=1, space_shape=(6, 8, 8), classes=4):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(size, *space_shape, generator=rng)
    return x, torch.randint(classes, (size,), generator=rng)


def search(strategy, context, epochs, steps=2):
    """Runs epochs of a search, from an epoch on."""
    for epoch in epochs:
        strategy.start_epoch(epoch)
        for step in range(steps):
            key = 10 * epoch + step
            strategy.search_step(batch(seed=key), batch(seed=key + 5), context)
        strategy.finish_epoch(epoch, context, [batch(seed=3), batch(seed=4)])
