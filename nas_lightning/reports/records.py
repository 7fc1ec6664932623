"""Reads what a run left as tables; a file that is not there gives an empty table."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

__all__ = [
    "AlphaCurve",
    "Answer",
    "ChildRecords",
    "Points",
    "TrialRecord",
    "read_alphas",
    "read_answers",
    "read_child",
    "read_confusion",
    "read_metrics",
    "read_mistakes",
    "read_trials",
    "read_values",
    "thin",
]

Points = tuple[tuple[float, float], ...]
DAMAGED = "write the file anew or remove it"


@dataclass(frozen=True)
class AlphaCurve:
    """The weight of one option over a search.

    Attributes:
        group: the node that the choice feeds, e.g. "normal/node_2".
        choice: e.g. "normal/edge_0_2".
        option: its name.
        points: pairs (epochs done, weight), in the order of the file.
    """

    group: str
    choice: str
    option: str
    points: Points


@dataclass(frozen=True)
class TrialRecord:
    """What a black-box search was told of one trial.

    Attributes:
        number: 0-based.
        genotype: its id.
        values: the finite ones by name, e.g. "reward", "validation_accuracy", "parameters".
    """

    number: int
    genotype: str
    values: dict[str, float]


@dataclass(frozen=True)
class Answer:
    """What a child takes one test input for: two classes, and the softmax's share in [0, 1]."""

    true: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class ChildRecords:
    """What a child left as tables.

    Attributes:
        metrics: of its training, as of `read_metrics`.
        confusion: classes and counts, as of `read_confusion`.
        answers: of its test on classes, as of `read_answers`.
        values: of its test on values, as of `read_values`.
    """

    metrics: dict[str, Points]
    confusion: tuple[list[str], list[list[int]]]
    answers: tuple[Answer, ...]
    values: dict[str, Points]


def read_child(folder: Path) -> ChildRecords:
    """Returns what the child left in its folder, each file read once.

    Raises: ValueError: a file is damaged; the message names it.
    """
    predictions = folder / "predictions.csv"
    is_of_values = _is_of_values(predictions)
    return ChildRecords(
        read_metrics(folder / "metrics.csv"),
        read_confusion(folder / "confusion.csv"),
        () if is_of_values else _answers(predictions),
        _values(predictions) if is_of_values else {},
    )


def read_alphas(path: Path) -> tuple[AlphaCurve, ...]:
    """Returns the curves of alphas.csv, in order of first appearance, finite weights only.

    Raises: ValueError: a column is missing, or a value is not a number.
    """
    curves: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for line, row in _rows(path, ("epoch", "group", "choice", "option", "weight")):
        point = _number(path, line, row, "epoch") + 1, _number(path, line, row, "weight")
        if isfinite(point[1]):
            curves.setdefault((row["group"], row["choice"], row["option"]), []).append(point)
    return tuple(AlphaCurve(*key, tuple(points)) for key, points in curves.items())


def read_metrics(path: Path) -> dict[str, Points]:
    """Returns for each metric of a metrics.csv the pairs (epochs done, value), gaps left out.

    Raises: ValueError: the column "epoch" is missing, or a value is not a number.
    """
    curves: dict[str, list[tuple[float, float]]] = {}
    for line, row in _rows(path, ("epoch",)):
        done = _number(path, line, row, "epoch") + 1
        for name in row:
            if name not in ("epoch", "step") and row[name]:
                value = _number(path, line, row, name)
                curves.setdefault(name, []).extend([(done, value)] if isfinite(value) else [])
    return {name: tuple(points) for name, points in curves.items() if points}


def read_trials(path: Path) -> tuple[TrialRecord, ...]:
    """Returns the trials that trials.jsonl tells; a last line cut short is left out.

    Raises: ValueError: a line is not an event of a search.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    trials = []
    for line, content in enumerate(text[: text.rfind("\n") + 1].splitlines(), 1):
        event = _event(path, line, content)
        if event.get("event") == "told":
            numbers = {k: float(v) for k, v in event.items() if type(v) in (int, float)}
            values = {k: v for k, v in numbers.items() if isfinite(v) and k != "trial"}
            trials.append(TrialRecord(event["trial"], str(event.get("genotype_id", "")), values))
    return tuple(trials)


def read_confusion(path: Path) -> tuple[list[str], list[list[int]]]:
    """Returns the classes of a confusion.csv and their counts: a row per class, a column per guess.

    Raises: ValueError: the file is no table of counts.
    """
    if not path.exists():
        return [], []
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file)) or [[""]]
    try:
        counts = [[int(cell) for cell in row[1:]] for row in rows]
    except ValueError as error:
        raise ValueError(f"{path} must hold counts ({error}); remove it") from None
    if any(len(row) != len(head) - 1 for row in counts) or len(counts) != len(head) - 1:
        raise ValueError(f"{path} must hold a row and a column for each class; remove it")
    return head[1:], counts


def read_answers(path: Path) -> tuple[Answer, ...]:
    """Returns the answers of a predictions.csv of classes; none of other targets.

    Raises: ValueError: a column is missing, or a value is not a number.
    """
    return () if _is_of_values(path) else _answers(path)


def _answers(path: Path) -> tuple[Answer, ...]:
    return tuple(
        Answer(row["true"], row["predicted"], _number(path, line, row, "confidence"))
        for line, row in _rows(path, ("true", "predicted", "confidence"))
    )


def read_values(path: Path) -> dict[str, Points]:
    """Returns for each output of a predictions.csv of values the pairs (true, predicted).

    Raises: ValueError: a column is missing, or a value is not a number.
    """
    return _values(path) if _is_of_values(path) else {}


def _values(path: Path) -> dict[str, Points]:
    pairs: dict[str, list[tuple[float, float]]] = {}
    for line, row in _rows(path, ("true", "predicted")):
        pair = _number(path, line, row, "true"), _number(path, line, row, "predicted")
        pairs.setdefault(row["output"], []).extend([pair] if all(map(isfinite, pair)) else [])
    return {name: tuple(points) for name, points in pairs.items() if points}


def read_mistakes(path: Path) -> list[dict[str, Any]]:
    """Returns the mistakes of a mistakes.json, the most confident first.

    Raises: ValueError: the file is no list of mistakes.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else '{"mistakes": []}'
        return [_mistake(one) for one in json.loads(text)["mistakes"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} must hold a list of mistakes ({error}); {DAMAGED}") from None


def _mistake(one: dict[str, Any]) -> dict[str, Any]:
    lines = [[float(value) for value in line] for line in one.get("lines", ())]
    words = {key: str(one[key]) for key in ("index", "true", "predicted")}
    picture = {"png": str(one.get("png", "")), "lines": lines}
    return {**words, "confidence": float(one["confidence"]), **picture}


def thin(points: Points, most: int) -> Points:
    """Returns at most `most` of the points, evenly chosen, with the first and the last one.

    >>> thin(((0, 5), (1, 6), (2, 7), (3, 8), (4, 9)), 3)
    ((0, 5), (2, 7), (4, 9))
    """
    if len(points) <= most:
        return points
    step = (len(points) - 1) / (most - 1)
    return tuple(points[round(index * step)] for index in range(most))


def _is_of_values(path: Path) -> bool:
    """Returns whether a predictions.csv is of values, as its head says."""
    if not path.exists():
        return False
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])[1:2] == ["output"]


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    if not path.exists():
        return
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, restval="")
        if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
            raise ValueError(
                f"{path} must have the columns {', '.join(columns)}; {', '.join(missing)} "
                f"missing: {DAMAGED}"
            )
        for row in reader:
            yield reader.line_num, {name: value for name, value in row.items() if name is not None}


def _number(path: Path, line: int, row: dict[str, str], column: str) -> float:
    try:
        return float(row[column])
    except ValueError:
        where = f"{path}, line {line}: '{column}'"
        raise ValueError(f"{where} must be a number, got '{row[column]}'; {DAMAGED}") from None


def _event(path: Path, line: int, content: str) -> dict[str, Any]:
    try:
        event = json.loads(content)
    except ValueError:
        event = None
    if not isinstance(event, dict) or not isinstance(event.get("trial"), int):
        raise ValueError(
            f"{path}, line {line} must be an event with a trial's number, got {content[:60]!r}; "
            f"{DAMAGED}"
        )
    return event
