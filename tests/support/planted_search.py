"""Tiny searches with every one-shot strategy: for kills, and for two processes."""

import json
from functools import partial
from pathlib import Path

from plain_context import one_shot
from planted_problem.images import planted
from planted_problem.spaces import PlantedCells

from nas_lightning.callbacks.checkpoint import AtomicCheckpointIO, RunCheckpoint
from nas_lightning.callbacks.cost_timer import CostTimer
from nas_lightning.callbacks.epoch_logs import AlphaLog, GenotypeLog
from nas_lightning.core.scale import Scale
from nas_lightning.data.module import ImageDataModule
from nas_lightning.search_spaces.chain import ChainSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.training.hardware import Hardware
from nas_lightning.training.supernet import SupernetModule

EPOCHS = 4
SPACES = {
    "drnas": NasBench201Space,  # with partial channels
    "pc_darts": NasBench201Space,
    "tangle": partial(ChainSpace, depths=(2,)),  # with elastic sizes
}
SETTINGS = {  # small, and with whatever a strategy may have to keep
    "darts": {"order": "second"},
    "drnas": {"partial": [2, 1]},
    "enas": {"steps": 3, "aggregate": 2, "samples": 4, "hidden": 8},
    "oles": {"every": 3},
    "pc_darts": {"partial": 2},
    "proxyless": {"interval": 2},
    "random_sharing": {"samples": 4, "generations": 1, "statistics": "recalibrated"},
    "robust_darts": {"on_rise": "regularise", "start": 0.0, "window": 1, "back": 1, "ratio": 1e-9},
}


def search(name, folder, callbacks=(), epochs=EPOCHS, batch_norm="batch", **hardware):
    """Searches with a strategy, by the name of its file; goes on with what the folder has.

    Returns:
        The finished module. Genotype, accuracies and cost are in result.json, beside the files
        of the search's callbacks.
    """
    space = SPACES.get(name, PlantedCells)(scale=Scale(4, 3, batch_norm=batch_norm))
    strategy = one_shot(name, space, epochs=epochs, **SETTINGS.get(name, {}))
    data = ImageDataModule(partial(planted, images=80), seed=0, batch_size=16)
    module = SupernetModule(space, strategy, data.input_shape, data.num_outputs)
    folder, stage = Path(folder), data.search()
    own = [
        AlphaLog(folder / "alphas.csv"),
        GenotypeLog(folder / "genotypes"),
        CostTimer(module.meter),
        RunCheckpoint(folder),
    ]
    trainer = Hardware(**hardware).trainer(
        epochs, [*own, *callbacks], plugins=[AtomicCheckpointIO()], wraps=False
    )
    saved = folder / "last.ckpt"
    trainer.fit(module, stage, ckpt_path=saved if saved.exists() else None, weights_only=True)
    val = list(stage.val_dataloader())
    module.found = module.derive(val)
    path = space.mixture(module.found).to(strategy.scores().weights)
    result = {
        "genotype": module.found.id,
        "validation_accuracy": module.validate(strategy.scores(), val),
        "discretized_accuracy": module.validate(path, val, val),
        "cost": module.meter.as_dict(),
    }
    if trainer.is_global_zero:
        (folder / "result.json").write_text(json.dumps(result))
    return module
