"""Folders as runs leave them, made without a run."""

import json
from functools import cache

from omegaconf import OmegaConf

from nas_lightning.reports.drawing import draw
from nas_lightning.search_spaces.darts import DartsSpace

SPACE = DartsSpace()


@cache
def drawn(seed):
    """Returns the id and the drawing of a genotype."""
    genotype = SPACE.sample(seed)
    return genotype.id, draw(SPACE.graphs(genotype))


def make_run(path, strategy, seed, test, other=0.90, samples=1000, command="search", **more):
    """Writes what a finished run leaves; `test` None leaves one that did not finish."""
    hydra = path / ".hydra"
    hydra.mkdir(parents=True)
    choices = {"strategy": strategy, "data": "digits"}
    settings = {"job": {"config_name": command}, "runtime": {"choices": choices}, "mode": "RUN"}
    OmegaConf.save({"hydra": settings}, hydra / "hydra.yaml")
    typed = [f"strategy={strategy}", f"seed={seed}", *more.pop("typed", ())]
    config = OmegaConf.from_dotlist(["strategy.epochs=10", *typed[2:], *more.pop("composed", ())])
    OmegaConf.save(OmegaConf.merge(config, {"seed": seed}), hydra / "config.yaml")
    OmegaConf.save(typed, hydra / "overrides.yaml")
    if test is None:
        return path
    genotype_id, drawing = drawn(seed)
    (path / "genotype.svg").write_text(drawing)
    result = {
        "space": "darts",
        "strategy": strategy,
        "data": "digits",
        "seed": seed,
        "genotype_id": genotype_id,
        "search": {"cost": {"training_samples": samples, "wall_s": 60.0}},
        "child": {"test_accuracy": test, "parameters": 1000, "multiply_adds": 5000},
        "baselines": {"random_genotype": {"test_accuracy": other}},
        **more,
    }
    (path / "result.json").write_text(json.dumps(result))
    return path
