"""Runs strategies on really trained children beside random search, and prints what each found.

    python benchmarks/children.py [--seeds 3] [--share 1.0] [--folder outputs/children] [PAIR ...]

Both searches of a pair may process the same number of training samples of the digits, and judge
children alike. A run that is there already (under --folder) is not repeated.
"""

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from nas_lightning.cli.entry import main as command

IMAGES = 704  # of the digits that a search trains children on in an epoch: 11 batches of 64
SMALL = ("child.scale.channels=4", "child.scale.cells=3")
MDL = ("objective=mdl", "objective.weight=0.02")  # 0.001 charges children of the default size so


@dataclass(frozen=True)
class Pair:
    """A strategy's search and random search, which judges the same children alike.

    Attributes:
        own: overrides of the strategy's search.
        shared: overrides of both searches.
        children: number of children that each of them may train.
        epochs: epochs of a child.
        key: where the epochs are set.
        rival: overrides of random search.
        rivals: the pair whose random searches serve for this one too; "" has its own.
        score: what is compared of a trial.
    """

    own: tuple[str, ...]
    shared: tuple[str, ...]
    children: int
    epochs: int
    key: str = "child.epochs"
    rival: tuple[str, ...] = ("strategy=random",)
    rivals: str = ""
    score: str = "validation_accuracy"


PAIRS = {
    "reinforce-chain": Pair(
        own=("strategy=reinforce", "retrain=false"),
        shared=("search_space=chain", "evaluation=full", *SMALL),
        children=48,
        epochs=3,
    ),
    "ppo-nasnet": Pair(
        own=("strategy=ppo", "retrain=true"),  # searched small, built big
        shared=(
            "search_space=nasnet",
            "evaluation=low_fidelity",
            "evaluation.channels=4",
            "evaluation.cells=3",
        ),
        children=32,
        epochs=3,
        key="evaluation.epochs",
    ),
    "evolution-custom": Pair(
        own=("strategy=evolution", "strategy.population=12", "strategy.sample=4", "retrain=false"),
        shared=("search_space=custom", "child.scale.channels=8"),
        children=48,
        epochs=6,
    ),
    "annealing-mdl": Pair(
        own=("strategy=annealing", *MDL, "retrain=false"),
        shared=SMALL,
        children=32,
        epochs=3,
        rival=("strategy=random", *MDL),
        score="reward",
    ),
    "annealing-accuracy": Pair(
        own=("strategy=annealing", "retrain=false"),
        shared=SMALL,
        children=32,
        epochs=3,
        rival=("strategy=random", *MDL),
        rivals="annealing-mdl",  # what random search draws does not depend on the objective
    ),
}
LEAST = 16  # children: evolution must evolve
HEAD = (
    "search", "seed", "mean", "last quarter", "best", "random: mean", "random: best",
    "parameters", "random: parameters", "test", "random child's test", "children", "seconds",
)  # fmt: skip


def run(folder: Path, pair: Pair, seed: int, children: int, overrides: Sequence[str]) -> None:
    """Runs one search unless its result is there, whatever its settings were."""
    if (folder / "result.json").exists():
        return
    sys.argv = [
        "nas-search",
        f"seed={seed}",
        f"strategy.trials={children}",  # the pace of annealing; the cap allows as many
        f"max_samples={children * pair.epochs * IMAGES}",
        f"{pair.key}={pair.epochs}",
        "callbacks=silent",
        "hardware.threads=1",
        f"hydra.run.dir={folder}",
        *overrides,
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        command()


def told(folder: Path) -> list[dict[str, Any]]:
    """Returns what came out of a run's trials, in order."""
    events = map(json.loads, (folder / "trials.jsonl").read_text().splitlines())
    return [event for event in events if event["event"] == "told"]


def row(name: str, seed: int, share: float, root: Path) -> list[Any]:
    """Returns one row of the table, in the order of its head."""
    pair = PAIRS[name]
    children = max(LEAST, round(share * pair.children))
    folder, other = root / name / str(seed), root / (pair.rivals or name) / f"random_{seed}"
    run(folder, pair, seed, children, [*pair.own, *pair.shared])
    run(other, pair, seed, children, [*pair.rival, *pair.shared, "retrain=false"])
    result = json.loads((folder / "result.json").read_text())
    mine, theirs = told(folder), told(other)
    scores = [trial[pair.score] for trial in mine]
    random_scores = [trial[pair.score] for trial in theirs]
    best, drawn = scores.index(max(scores)), random_scores.index(max(random_scores))
    test = [
        "" if not part else part["test_accuracy"]
        for part in (result["child"], (result["baselines"] or {}).get("random_genotype"))
    ]
    return [
        name,
        seed,
        mean(scores),
        mean(scores[-(len(scores) // 4) :]),
        scores[best],
        mean(random_scores),
        random_scores[drawn],
        mine[best]["parameters"],
        theirs[drawn]["parameters"],
        *test,
        len(mine),
        result["search"]["cost"]["wall_s"],
    ]


def text(value: Any) -> str:
    """Returns a cell of the table."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else value
    return f"{value:.0f}" if value > 2 else f"{value:.4f}"


def main() -> None:
    """Runs everything and prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="*", default=list(PAIRS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the children, to try it out")
    parser.add_argument("--folder", type=Path, default=Path("outputs/children"))
    arguments = parser.parse_args()
    print("| " + " | ".join(HEAD) + " |")
    print("|" + " --- |" * len(HEAD))
    for name in arguments.pairs:
        rows = []
        for seed in range(arguments.seeds):
            rows.append(row(name, seed, arguments.share, arguments.folder))
            print("| " + " | ".join(map(text, rows[-1])) + " |", flush=True)


if __name__ == "__main__":
    main()
