"""How a reader uses what a run found, and what to do next: lines to paste."""

from collections.abc import Mapping
from pathlib import Path
from shlex import quote, split
from typing import Any

from nas_lightning.reports.conclusion import Conclusion
from nas_lightning.reports.metric import input_word

__all__ = ["next_steps", "uses"]

Step = tuple[str, str]  # what it is for, and the line

CELLS = ("darts", "nasnet", "enas_micro")  # spaces that the published recipe is for
SMALLEST = 32  # side of the images that its auxiliary head can read
LONGER = 5  # times as many epochs


def uses(run_dir: Path, result: Mapping[str, Any]) -> list[Step]:
    """Returns the lines that load, classify, export and train longer.

    Without a trained child they train it.
    """
    folder = str(run_dir.resolve())
    if not result.get("child"):
        return [("Train it, which the search did not do", _training(folder, result))]
    given, imported = _own_space(result)
    lines = ["import nas_lightning as nl", *imported, f"child = nl.load_child({folder!r}{given})"]
    steps = [("Load it, in Python", "\n".join(lines)), _answering(result)]
    if not given:
        export = "from nas_lightning.deployment.export import export_child\n"
        export += f"export_child({folder!r}, ['onnx'])"
        steps.append(("Write it as a file for other programs: 'onnx', or 'pt2' of torch", export))
    longer = _training(folder, result, f"child.epochs={LONGER * _epochs(result)}")
    steps.append((f"Train it {LONGER} times as long", longer))
    if _fits_published_recipe(result):
        published = _training(folder, result, "child=darts_cifar")
        steps.append(("Train it as papers do: larger, 600 epochs, on a GPU", published))
    return steps


def next_steps(run_dir: Path, result: Mapping[str, Any], conclusion: Conclusion) -> list[Step]:
    """Returns what is worth trying now, by how the run ended; a line may be ""."""
    steps: list[Step] = []
    if conclusion.outcome == "not better":
        steps.append(
            (
                "A network that needs no search does as well here, so more search may not pay. If "
                "you search again, search longer, try another strategy, or choose a larger space.",
                "",
            )
        )
    searched = result.get("search")
    if searched and str(result.get("command", "")).startswith("nl."):
        steps.append(("Repeat the call with seed=1 and seed=2: one run alone shows little.", ""))
    if searched and (command := _command(result)):
        seeds = f"{command} seed=0,1,2"
        steps.append(("Repeat it with other seeds: one run alone shows little", _many(seeds)))
        steps += _more_children(run_dir, result)
        compared = f"nas-report {quote(str(run_dir.resolve()))} OTHER_RUN_DIR"
        steps.append(("Compare runs and sweeps: a table, and a page", compared))
        if "trials" not in searched:
            other = "drnas" if result.get("strategy") != "drnas" else "gdas"
            line = f"{_without(command, 'strategy', 'strategy.')} strategy={other}"
            steps.append(("Try another strategy on the same space and data", line))
        else:
            line = f"{_without(command, 'strategy.trials')} strategy.trials={_trials(searched)}"
            steps.append(("Give it twice the trials", line))
    return steps


def _more_children(run_dir: Path, result: Mapping[str, Any]) -> list[Step]:
    """Returns the line by which more random children decide an open verdict."""
    verdict = result.get("verdict") or {}
    if not verdict.get("more_children") or result.get("own_space"):
        return []
    most = verdict["children"] + verdict["more_children"]
    line = f"{_training(str(run_dir.resolve()), result, 'baselines=true')} verdict.children={most}"
    return [("Have more random networks decide, without another search", line)]


def _answering(result: Mapping[str, Any]) -> Step:
    word, shape = input_word(result), tuple(result.get("input_shape") or ())
    inputs = "'photo.png'" if word == "image" else "x"
    method = "classify" if result.get("targets", "classes") == "classes" else "predict"
    takes = {
        "image": "a file, PIL image, array or tensor, or a list of them",
        "input": f"an array {shape}, or a batch of them",
    }.get(word, f"an array {shape} of raw numbers, or a batch of them")
    verb = "Classify" if method == "classify" else "Predict"
    other = "\nchild.predict(" + inputs + ")  # probabilities" if method == "classify" else ""
    return f"{verb}: {takes}", f"child.{method}({inputs}){other}"


def _training(folder: str, result: Mapping[str, Any], override: str = "") -> str:
    """Returns the line that trains a run's genotype with a changed recipe."""
    if not str(result.get("command", "")).startswith("nl."):
        return " ".join(["nas-train", quote(f"genotype={folder}"), *([override] * bool(override))])
    recipe = f", overrides=[{override!r}]" if override else ""
    space = _own_space(result)[0].replace("space=", "search_space=")
    return f"nl.train({folder!r}, data{space}{recipe})  # data and task as in the search"


def _own_space(result: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Returns the argument that passes a user's own space, and its import; nothing of ours."""
    if not (space := result.get("own_space")):
        return "", []
    module, _, name = str(space).rpartition(".")
    is_importable = module and module != "__main__" and "<" not in module
    imported = [f"from {module} import {name.removesuffix('()')}"] if is_importable else []
    return f", space={name}", imported


def _fits_published_recipe(result: Mapping[str, Any]) -> bool:
    shape = result.get("input_shape") or ()
    return result.get("space") in CELLS and len(shape) == 3 and min(shape[1:]) >= SMALLEST


def _epochs(result: Mapping[str, Any]) -> int:
    return int(result["child"].get("cost", {}).get("epochs_trained", 12))


def _trials(search: Mapping[str, Any]) -> int:
    return 2 * int(search["trials"])


def _command(result: Mapping[str, Any]) -> str:
    """Returns the command line of a search without its seed and folder, "" of anything else."""
    command = str(result.get("command", ""))
    if not command.startswith("nas-search") or command.count("'") % 2 or command.count('"') % 2:
        return ""  # as runs of before had it, not quoted for a shell
    if result.get("fork"):
        return ""  # forks are started one by one
    return _without(command, "seed", "hydra.run.dir")


def _without(command: str, *keys: str) -> str:
    """Returns a command line without the overrides of some keys; "group." stands for all of it.

    >>> _without("nas-search seed=3 data=digits", "seed")
    'nas-search data=digits'
    """
    groups = tuple(key for key in keys if key.endswith("."))
    named = [(word, word.lstrip("+").partition("=")[0]) for word in split(command)]
    left = [word for word, key in named if key not in keys and not key.startswith(groups)]
    return " ".join(quote(word) for word in left)


def _many(command: str) -> str:
    return command.replace("nas-search", "nas-search -m", 1)
