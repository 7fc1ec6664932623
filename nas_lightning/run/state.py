"""What became of runs: their results, what is wrong with those, and what resumes the others."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf.errors import OmegaConfBaseException

from nas_lightning.evaluation.verdict import NOT_WORTH_IT, UNDECIDED, WORTH_IT
from nas_lightning.files import is_locked, write_text
from nas_lightning.reports.metric import metric_of
from nas_lightning.run.folder import HYDRA, OVERRIDES, RESULT, RunFolder
from nas_lightning.run.sweep import ERROR_FILE

__all__ = ["BROKEN", "RunState", "listed_runs", "note_failure", "resume_hint"]

BROKEN = (ValueError, OSError, OmegaConfBaseException)  # of reading a run
ANSWERS = (WORTH_IT, NOT_WORTH_IT, UNDECIDED)
PARTS = ("search", "child", "baselines", "metric", "verdict")  # of a result: mappings, or null


@dataclass(frozen=True)
class RunState:
    """What became of a run.

    Attributes:
        word: "finished", "running", "interrupted", "failed", or "broken".
        result: the content of result.json; empty unless the run is finished.
        trouble: what is wrong with a broken or a failed one.
        command: what resumes it, or runs it again; empty where nothing has to be done.
    """

    word: str
    result: Mapping[str, Any]
    trouble: str = ""
    command: str = ""

    @classmethod
    def of(cls, folder: RunFolder) -> "RunState":
        """Returns the state of the run in a folder."""
        try:
            command = _resuming(folder)
            return _unfinished(folder, command) or cls("finished", _read_result(folder / RESULT))
        except BROKEN as error:
            return cls.broken(folder, error)

    @classmethod
    def broken(cls, folder: RunFolder, error: Exception) -> "RunState":
        """Returns the state of a run of which a file cannot be read."""
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return cls("broken", {}, f"a file of the run {folder.path} is broken: {reason}")

    def told(self, path: Path) -> str:
        """Returns in one sentence why an unfinished run is left out, and the cure."""
        cures = {
            "running": f"{path} is still running",
            "interrupted": f"{path} was interrupted; {self.command} {_does_resume(path)}",
            "failed": f"{path} failed ({self.trouble}); {self.command} runs it again",
            "broken": f"{self.trouble}; remove the file and resume the run, or run it anew",
        }
        return f"{cures[self.word]}; it is left out"


def resume_hint(command: str, path: Path) -> str:
    """Returns how a command's unfinished run or sweep is resumed, and what that does."""
    return f"nas-{command} resume={shlex.quote(str(path))} {_does_resume(path)}"


def _does_resume(path: Path) -> str:
    folder = RunFolder(path)
    if folder.is_sweep or folder.has_progress:
        return "resumes it"
    return "runs it anew, as nothing was kept yet"


def note_failure(folder: RunFolder, reason: str) -> None:
    """Notes why a run has failed in its folder, unless that was removed with it."""
    if folder.is_whole:
        write_text(folder / ERROR_FILE, f"{reason}\n")


def listed_runs(outputs: Path) -> list[dict[str, Any]]:
    """Returns the runs anywhere under a folder, the newest first: what each is, and its state.

    "resume" is the command that resumes it, empty where it is finished, running or broken.
    """
    paths = {file.parent.parent for file in outputs.glob(f"**/{HYDRA}/{OVERRIDES}")}
    rows = [_listed(folder) for folder in map(RunFolder, paths) if folder.is_whole]
    return sorted(rows, key=lambda row: row["started"], reverse=True)


def _listed(folder: RunFolder) -> dict[str, Any]:
    state = RunState.of(folder)
    metric = metric_of(state.result)
    value = (state.result.get("child") or {}).get(f"test_{metric.name}")
    facts = {"command": "-", "strategy": "-", "data": "-"}
    if state.word != "broken":
        facts = {"command": folder.command}
        facts |= {group: folder.choice(group) or "-" for group in ("strategy", "data")}
    return {
        "run": str(folder.path),
        "started": datetime.fromtimestamp((folder.hydra / OVERRIDES).stat().st_mtime),
        **facts,
        "test": f"{metric.text(value)} {metric.words}" if value is not None else "-",
        "state": state.word,
        "resume": state.command if state.word in ("interrupted", "failed") else "",
    }


def _unfinished(folder: RunFolder, command: str) -> RunState | None:
    """Returns the state of a run without a result; None with one."""
    if (folder / RESULT).is_file():
        return None
    if is_locked(folder.hydra / "lock"):
        return RunState("running", {})
    if (folder / ERROR_FILE).is_file():
        trouble = (folder / ERROR_FILE).read_text("utf-8", "replace").strip().splitlines()
        return RunState("failed", {}, (trouble or ["without a message"])[0], command)
    return RunState("interrupted", {}, "", command)


def _resuming(folder: RunFolder) -> str:
    """Returns what resumes a run: a line to paste into a shell, or a call in Python."""
    if not folder.objects:
        return f"nas-{folder.command} resume={shlex.quote(str(folder.path))}"
    passed = [f"{group}=<{name}>" for group, name in folder.objects.items()]
    where = [f"folder={str(folder.path)!r}", "resume=True"]
    return f"nl.{folder.command}({', '.join([*passed, *where])})"


def _read_result(path: Path) -> dict[str, Any]:
    """Returns the content of a result.json.

    Raises: ValueError: it is not what a run leaves.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold an object, got {content!r:.40}")
    for key in PARTS:
        if not isinstance(content.get(key), dict | None):
            raise ValueError(f"{path}: {key} must be an object, got {content[key]!r}")
    if not isinstance(content.get("seed"), int | None):
        raise ValueError(f"{path}: seed must be a whole number, got {content['seed']!r}")
    verdict = content.get("verdict")
    if verdict is not None and verdict.get("answer") not in ANSWERS:
        answers, answer = ", ".join(ANSWERS), verdict.get("answer")
        raise ValueError(f"{path}: verdict must have an answer of {answers}, got {answer!r:.40}")
    metric = content.get("metric")
    if metric is not None and not isinstance(metric.get("name"), str):
        raise ValueError(f"{path}: metric must have a name, got {metric!r}")
    if metric is not None and not {"higher_is_better", "is_share"} <= set(metric):
        raise ValueError(f"{path}: metric must have higher_is_better and is_share, got {metric!r}")
    return content
