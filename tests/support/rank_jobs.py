"""What tests run in two processes at once: importable by the processes, each with its rank."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import planted_search
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from nas_lightning.callbacks.checkpoint import AtomicCheckpointIO, RunCheckpoint
from nas_lightning.callbacks.epoch_logs import AlphaLog
from nas_lightning.core.scale import Scale
from nas_lightning.data.augmentation import Augmentation
from nas_lightning.data.images import from_numpy
from nas_lightning.data.module import ImageDataModule
from nas_lightning.networks.batch_norm import batch_norms, synchronise
from nas_lightning.networks.synchronised_norm import synchronised_norm
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.curvature import alpha_eigenvalue
from nas_lightning.strategies.darts import Darts
from nas_lightning.training.child import ChildModule, ChildRecipe, build_child
from nas_lightning.training.hardware import Hardware
from nas_lightning.training.supernet import SupernetModule
from nas_lightning.training.updates import SearchUpdates

SHAPE, CLASSES = (1, 8, 8), 4


class Stop(Exception):  # noqa: N818 - stands for whatever ends a training
    """Ends a training on all ranks at once."""


class StopIn(Callback):
    """Ends a training in the second step of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == (self.epoch, 1):
            raise Stop


class Tamper(Callback):
    """Moves what rank 1 holds, unseen by the others."""

    def __init__(self, what):
        self.what = what

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if trainer.global_rank == 1:
            with torch.no_grad():
                held = {"alphas": module.strategy.alpha, "params": module.supernet.classifier.bias}
                held[self.what][0] += 0.25


def blots(path, image_size, channels):
    """Returns few images, which take no time to read."""
    draws = np.random.default_rng(0)
    labels = np.arange(80) % CLASSES
    images = draws.integers(0, 128, (80, *SHAPE)) + 12 * labels[:, None, None, None]
    return from_numpy(images.astype(np.uint8), labels, [str(each) for each in range(CLASSES)])


def data():
    augmentation = Augmentation(crop_padding=1, flip=False)
    return ImageDataModule(blots, seed=0, batch_size=16, augmentation=augmentation)


def search(folder, order="first", batch_norm="fixed", callbacks=(), resume=None, **hardware):
    """Searches on blots; returns the alphas, and the running statistics of the supernet."""
    space = DartsSpace(nodes=1, scale=Scale(2, 3, batch_norm=batch_norm))
    strategy = Darts(space, 0, 2, order)
    module = SupernetModule(space, strategy, SHAPE, CLASSES)
    own = [AlphaLog(Path(folder) / "alphas.csv"), RunCheckpoint(Path(folder))]
    trainer = Hardware(precision="64-true", **hardware).trainer(
        2, [*own, *callbacks], plugins=[AtomicCheckpointIO()], wraps=False
    )
    trainer.fit(module, data().search(), ckpt_path=resume, weights_only=True)
    statistics = [b.clone() for b in module.supernet.buffers() if b.is_floating_point()]
    return strategy.alpha.detach().clone(), torch.cat(statistics)


def planted(name, folder, **options):
    """Searches with a strategy; returns all that it holds, its rewards, and what it found."""
    rewards, validate = [], SearchUpdates.validate

    def noted(*arguments, **more):
        rewards.append(validate(*arguments, **more))
        return rewards[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SearchUpdates, "validate", noted)
        module = planted_search.search(name, folder, epochs=2, **options)
    state = dict(module.strategy.state_dict())
    draws = state.pop("_extra_state")["rng"]
    return state, draws, torch.tensor(rewards, dtype=torch.float64), module.found.id


def error_of(job, *arguments, **more):
    """Returns the message with which a job ends."""
    try:
        job(*arguments, **more)
    except (ArithmeticError, Stop) as error:
        return str(error)
    return "no error"


def tampered_search(folder, what):
    return error_of(search, folder, callbacks=[Tamper(what)], devices=2)


def stopped_search(folder, **hardware):
    return error_of(search, folder, batch_norm="batch", callbacks=[StopIn(1)], **hardware)


def child(**hardware):
    """Trains a child in two processes or one; returns its params."""
    space = DartsSpace(nodes=1, scale=Scale(2, 3))
    scale = replace(Scale(2, 3, batch_norm="fixed", flavour="child"), input_shape=SHAPE)
    recipe = ChildRecipe(epochs=2, scale=replace(scale, num_outputs=CLASSES))
    genotype = space.discretize(Darts(space, 3).scores())
    module = ChildModule(build_child(space, genotype, recipe.scale, 0), CLASSES, recipe)
    trainer = Hardware(precision="64-true", **hardware).trainer(2, limit_val_batches=0)
    trainer.fit(module, data().final())
    return torch.cat([p.detach().reshape(-1) for p in module.network.parameters()])


def normalised_part(x, target, part):
    """Returns a rank's part of what BatchNorm makes of a batch, of its gradient, its statistics."""
    rank = int(os.environ["LOCAL_RANK"])
    own = x.chunk(2)[rank].clone().requires_grad_()
    mean, var = torch.zeros(3, dtype=x.dtype), torch.ones(3, dtype=x.dtype)
    weight, bias = torch.tensor([[1.0, 2.0, 0.5], [0.0, 1.0, -1.0]], dtype=x.dtype)
    out = synchronised_norm(own, mean, var, weight, bias, 0.1, 1e-5)
    loss = ((out - target.chunk(2)[rank]) ** 2).sum()
    (grad,) = torch.autograd.grad(loss, own)
    return {"out": out.detach(), "grad": grad, "mean": mean, "var": var}[part]


def eigenvalue(batch_norm, synchronised=False):
    """Returns the dominant eigenvalue of a batch, of which each of two processes has its part."""
    space = DartsSpace(nodes=1, scale=Scale(2, 3, batch_norm=batch_norm))
    updates = SearchUpdates(space, Darts(space, 0), (1, 8, 8), CLASSES)
    updates.supernet.double(), updates.strategy.double()
    rng = torch.Generator().manual_seed(1)
    parts = [torch.randn(8, *SHAPE, generator=rng).double(), torch.arange(8) % CLASSES]
    if torch.distributed.is_initialized():
        rank = int(os.environ["LOCAL_RANK"])
        parts = [part.chunk(2)[rank] for part in parts]
        synchronise(batch_norms(updates.supernet), synchronised)
        updates.mean = mean_of_two
    return alpha_eigenvalue(updates.strategy, tuple(parts), updates, rng)


def mean_of_two(tensor):
    total = tensor.clone()
    torch.distributed.all_reduce(total)
    return total / 2


def metrics_of_parts(task, outputs, targets):
    """Returns a task's metrics of two ranks, each of which measures its part in two batches."""
    rank, found = int(os.environ["LOCAL_RANK"]), {}
    for name, metric in task.metrics(outputs.shape[1]).items():
        for batch in range(2):
            part = slice(2 * batch + rank, None, 4)
            task.update(metric, outputs[part], targets[part])
        found[name] = float(metric.compute())
    return found
