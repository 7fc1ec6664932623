"""Searches RobustDARTS's spaces S1 to S4 on a little of CIFAR-10 by strategies for them.

    python benchmarks/collapse.py --data DIR_OR_FILE [--seeds 3] [--strategies darts sdarts ...]
        [--spaces darts_s1 ...] [--results benchmarks/results/collapse.jsonl] [--table]

Each cell, a space, a strategy and a seed, is one line of the results: what the found normal cell
has of skips and noise, the dominant eigenvalue of the validation loss's Hessian in the alphas at
the end, and the test accuracy of the child. Children of one seed are trained alike. A second start
skips the cells that are there; seeds are done one after the other. --table prints what is there.
"""

import contextlib
import io
import json
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import lightning as L
from journal import journaled, parser_of, read
from scipy.stats import t

import nas_lightning as nl

SPACES = ("darts_s1", "darts_s2", "darts_s3", "darts_s4")
STRATEGIES = ("darts", "sdarts", "beta_darts", "darts_minus", "robust_darts", "perturbation")
OPS = ("skip_connect", "noise")  # what wins where a search collapses
# A search sees 200 images, half of them to train on, and no augmentation: params fit them by heart,
# which is what leads alphas astray. Children are trained on more.
DATA = ["data=cifar10", "data.image_size=8", "data.augmentation=null"]
SEARCH = ["search_space.scale.channels=4", "search_space.scale.cells=4", "strategy.epochs=60"]
SEARCH += ["data.max_images=200", "data.batch_size=50", "strategy.params_optimizer.lr=0.05"]
CHILD = ["child.scale.channels=8", "child.scale.cells=5", "child.epochs=8"]
CHILD += ["data.max_images=2000", "data.batch_size=64"]
BOTH = ["hardware.threads=1", "callbacks=silent"]
FIGURE = "eigenvalue.json"


class EndCurvature(L.Callback):
    """Writes the dominant eigenvalue of the end of a search, on one batch, to the run's folder."""

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measures it on the first validation batch."""
        if isinstance(pl_module, nl.SupernetModule):
            batch = next(iter(trainer.val_dataloaders))
            value = pl_module.dominant_eigenvalue(batch)
            (Path(trainer.default_root_dir) / FIGURE).write_text(json.dumps(value))


def searched(data: str, space: str, strategy: str, seed: int) -> dict[str, Any]:
    """Returns what one search found, and how its child does."""
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        folder, where = Path(name), f"data.path={data}"
        watch = "+callbacks.curvature={_target_: collapse.EndCurvature}"
        search = nl.search(
            search_space=space,
            strategy=strategy,
            overrides=[*DATA, where, *SEARCH, *BOTH, watch],
            seed=seed,
            retrain=False,
            folder=folder / "search",
        )
        more = [*DATA, where, *CHILD, *BOTH]
        child = nl.train(folder / "search", overrides=more, seed=seed, folder=folder / "child")
        ops = [op for at, op in search.genotype.mapping.items() if at.startswith("normal/edge")]
        figures, counts = search.result["search"], Counter(ops)
        return {
            "genotype_id": search.genotype.id,
            "normal": ops,
            **{f"{op}_share": counts[op] / len(ops) for op in OPS},
            "eigenvalue": json.loads((folder / "search" / FIGURE).read_text()),
            "validation_accuracy": figures["validation_accuracy"],
            "path_accuracy": figures["discretized_validation_accuracy"],
            "test_accuracy": child.result["child"]["test_accuracy"],
            "parameters": child.result["child"]["parameters"],
            "search_samples": figures["cost"]["training_samples"],
            "search_seconds": figures["cost"]["wall_s"],
            "child_seconds": child.result["child"]["cost"]["wall_s"],
        }


def interval(values: Sequence[float]) -> str:
    """Returns mean and 95 % interval of the mean by Student's t, in per cent."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.1%}"
    half = t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.1%} ± {100 * half:.1f}"


def lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yields a Markdown table: a row per space and strategy."""
    yield "| space | strategy | seeds | skips | noise | eigenvalue | child's test accuracy |"
    yield f"|{' --- |' * 7}"
    pairs = product(SPACES, dict.fromkeys(row["strategy"] for row in rows))
    for space, strategy in pairs:
        few = [row for row in rows if (row["space"], row["strategy"]) == (space, strategy)]
        if few:
            shares = [", ".join(f"{8 * row[f'{op}_share']:.0f}" for row in few) for op in OPS]
            values = ", ".join(f"{row['eigenvalue']:.2g}" for row in few)
            accuracy = interval([row["test_accuracy"] for row in few])
            cells = [space, f"`{strategy}`", f"{len(few)}", *shares, values, accuracy]
            yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Makes the searches that are missing, and prints the table."""
    parser = parser_of("collapse.jsonl", __doc__, SPACES, seeds=3)
    parser.add_argument("--data", required=True)
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    options = parser.parse_args()
    plan = [
        {"space": space, "strategy": strategy, "seed": seed}
        for seed, strategy, space in product(
            range(options.seeds), options.strategies, options.spaces
        )
    ]
    if not options.table:
        journaled(options.results, plan, partial(searched, options.data))
    print("\n".join(lines(read(options.results))))


if __name__ == "__main__":
    main()
