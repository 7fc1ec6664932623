"""Publishes a trained child: a folder with its params, what they are, and a model card."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from nas_lightning import __version__
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.deployment.load import LoadedChild, load_child
from nas_lightning.files import write_text

__all__ = ["push_to_hub"]

README = "README.md"
FIGURES = ("test_", "parameters", "multiply_adds")  # of result.json, by how their names begin
PIPELINES = {3: "image-classification", 1: "tabular-classification"}  # by rank of an input


def push_to_hub(
    child: str | Path | LoadedChild,
    repo_id: str | None = None,
    folder: str | Path | None = None,
    *,
    space: SearchSpace | None = None,
    license_id: str | None = None,
    private: bool = False,
) -> Path:
    """Writes a child into a folder as the Hugging Face Hub has it, and uploads it there if asked.

    The folder holds model.safetensors, config.json and README.md, a model card with the test
    figures of the run. `load_child(folder)` reads it, also after `snapshot_download`.

    Args:
        child: the folder of a run, or a child.
        repo_id: "owner/name" on the Hub, where you are logged in; None uploads nothing.
        folder: where to write; None takes child/hub in the folder of the run.
        space: the search space, where it is your own (see `load_child`).
        license_id: license of the params in the Hub's words, e.g. "apache-2.0"; None states none.
        private: whether a repository that is made now is private.

    Raises: ValueError: there is no child, its head was replaced by hand, or no folder is given.
    """
    run_dir = None if isinstance(child, LoadedChild) else Path(child).expanduser()
    if folder is None and run_dir is None:
        raise ValueError("push_to_hub needs a folder for a child that is no run's; give folder=...")
    home = Path(folder).expanduser() if folder else Path(f"{run_dir}", "child", "hub")
    loaded = child if isinstance(child, LoadedChild) else load_child(child, space)
    result = {} if run_dir is None else _result(run_dir)
    loaded.save(home)
    write_text(home / README, _model_card(loaded, result, repo_id, license_id))
    if repo_id is not None:
        hub = HfApi()
        hub.create_repo(repo_id, private=private, exist_ok=True)
        hub.upload_folder(repo_id=repo_id, folder_path=home)
    return home


def _result(run_dir: Path) -> dict[str, Any]:
    path = run_dir / "result.json"
    content: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return content


def _model_card(
    child: LoadedChild, result: Mapping[str, Any], repo_id: str | None, license_id: str | None
) -> str:
    figures = {k: v for k, v in (result.get("child") or {}).items() if k.startswith(FIGURES)}
    name = (repo_id or child.genotype.space).rpartition("/")[2]
    shape = ", ".join(map(str, child.input_shape))
    facts = {
        "search space": child.genotype.space,
        "genotype": child.genotype.id,
        "strategy": result.get("strategy"),
        "data": result.get("data"),
        "input": f"(N, {shape})",
        "outputs": ", ".join(child.class_names),
        "params": sum(param.numel() for param in child.parameters()),
        "nas_lightning": __version__,
    }
    return "\n".join(
        [
            *["---", *_front_matter(child, result, figures, name, license_id), "---", ""],
            *[f"# {name}", "", "Found and trained with nas_lightning.", ""],
            *_table("", "value", {key: value for key, value in facts.items() if value}),
            *(_table("figure", "value", figures) if figures else []),
            *["## Use", "", *_usage(repo_id), ""],
            *["## License", "", license_id or "not stated by the author", ""],
        ]
    )


def _front_matter(
    child: LoadedChild,
    result: Mapping[str, Any],
    figures: Mapping[str, Any],
    name: str,
    license_id: str | None,
) -> list[str]:
    """Returns the lines that the Hub reads: YAML whose values are JSON, which YAML contains."""
    is_classes = child.task["targets"] == "classes"
    task = PIPELINES.get(len(child.input_shape)) if is_classes else None
    tested = {k.removeprefix("test_"): v for k, v in figures.items() if k.startswith("test_")}
    facts: dict[str, Any] = {
        "library_name": "nas_lightning",
        "tags": ["neural-architecture-search", child.genotype.space],
        "license": license_id,
        "pipeline_tag": task,
    }
    if tested and "data" in result:
        data = {"name": result["data"], "type": result["data"], "split": "test"}
        metrics = [{"name": key, "type": key, "value": value} for key, value in tested.items()]
        results = {"task": {"type": task or "other"}, "dataset": data, "metrics": metrics}
        facts["model-index"] = [{"name": name, "results": [results]}]
    return [f"{key}: {json.dumps(value)}" for key, value in facts.items() if value is not None]


def _table(left: str, right: str, rows: Mapping[str, Any]) -> list[str]:
    lines = [f"| {key} | {value} |" for key, value in rows.items()]
    return [f"| {left} | {right} |", "| --- | --- |", *lines, ""]


def _usage(repo_id: str | None) -> list[str]:
    folder = (
        [f'folder = snapshot_download("{repo_id}")'] if repo_id else ['folder = "."  # this one']
    )
    imports = ["from huggingface_hub import snapshot_download"] if repo_id else []
    load = ["child = nl.load_child(folder)", 'child.classify("image.png")  # or child.predict(x)']
    return ["```python", *imports, "import nas_lightning as nl", "", *folder, *load, "```"]
