"""The files of a trained child: what it is, as plain data, and its params; nothing is unpickled."""

import json
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from nas_lightning.callbacks.checkpoint_file import best_or_last
from nas_lightning.config.trust import check_version
from nas_lightning.files import replacing, write_text

__all__ = ["CONFIG", "PARAMS", "read_stored", "write_stored"]

CONFIG, PARAMS = "config.json", "model.safetensors"  # of a folder that `write_stored` wrote
CHILD = Path("child", "last.ckpt")  # of a run's folder
RUN, SWEEP = Path(".hydra", "config.yaml"), "multirun.yaml"  # what tells the folders of each
FORMAT = "nas-lightning/child"
NETWORK = "network."


def write_stored(folder: Path, card: Mapping[str, Any], params: Mapping[str, Tensor]) -> None:
    """Writes a network's `state_dict` into model.safetensors, and the card into config.json.

    Raises: ValueError: the folder is that of a run or a sweep, whose own child would be loaded.
    """
    if any((folder / mark).is_file() for mark in (RUN, SWEEP, CHILD)):
        raise ValueError(
            f"the folder '{folder}' must not be that of a run, whose own child load_child reads; "
            f"choose another one, e.g. '{folder}_child'"
        )
    whole = torch.contiguous_format  # copies: safetensors refuses tensors that share memory
    tensors = {n: t.detach().cpu().clone(memory_format=whole) for n, t in params.items()}
    with replacing(folder / PARAMS) as temporary:
        temporary.write_bytes(save(tensors, {"format": "pt"}))
    card = {"format": FORMAT, **card, "genotype": json.loads(card["genotype"])}
    write_text(folder / CONFIG, json.dumps(card, indent=2) + "\n")


def read_stored(folder: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Returns the card and the network's `state_dict` of a run's child, or of a written folder.

    Raises: ValueError: the folder holds no trained child, one of another minor version, or one
        that cannot be read.
    """
    home = Path(folder).expanduser()
    if (home / CHILD).is_file():
        content = best_or_last(home / "child")
        card, state = content["child"], content["state_dict"]
        params = {k.removeprefix(NETWORK): v for k, v in state.items() if k.startswith(NETWORK)}
    elif (home / CONFIG).is_file():
        card, params = _read_written(home)
    else:
        raise ValueError(_no_child(home, str(folder)))
    check_version(card.get("version"), f"the child in '{folder}'")
    return card, params


def _no_child(home: Path, folder: str) -> str:
    """Returns what is at a path that is no folder of a trained child, and the cure."""
    cure = (
        "give the folder of a finished run of nas-search or nas-train, or one that child.save wrote"
    )
    if not home.exists():
        reason = "there is no such folder"
    elif not home.is_dir():
        reason = "it is a file"
    elif (home / SWEEP).is_file():
        jobs = sorted(path.parent.parent for path in home.glob(f"*/{CHILD}"))
        reason = "it is the folder of a sweep"
        cure = (
            f"give one of its runs, e.g. '{jobs[0]}'"
            if jobs
            else f"resume it: resume={quote(folder)}"
        )
    elif (home.parent / CHILD).is_file():
        reason, cure = "it lies in that of a run", f"give the run's: '{home.parent}'"
    elif (home / RUN).is_file():
        reason = "no child/last.ckpt"
        cure = (
            "give the folder of a finished nas-train run or nas-search run with retrain=true, or "
            f"train what was found: nas-train genotype={folder}"
        )
    else:
        reason = f"no {CHILD}, no {CONFIG}"
    return f"'{folder}' holds no trained child ({reason}); {cure}"


def _read_written(home: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        card = json.loads((home / CONFIG).read_text(encoding="utf-8"))
        if card.get("format") != FORMAT:
            raise ValueError(f"its format is {card.get('format')!r}, not {FORMAT!r}")
        params = load_file(home / PARAMS)
    except (OSError, SafetensorError, ValueError, AttributeError) as error:
        raise ValueError(
            f"the child in '{home}' cannot be read ({error}); give a folder with {CONFIG} and "
            f"{PARAMS} that child.save(folder) or push_to_hub wrote"
        ) from error
    return {**card, "genotype": json.dumps(card["genotype"])}, params
