"""The files of a trained child: what it is, as plain data, and its params; nothing is unpickled."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from nas_lightning.callbacks.checkpoint import best_or_last
from nas_lightning.config.trust import check_version
from nas_lightning.files import replacing, write_text

__all__ = ["CONFIG", "PARAMS", "read_stored", "write_stored"]

CONFIG, PARAMS = "config.json", "model.safetensors"  # of a folder that `write_stored` wrote
FORMAT = "nas-lightning/child"
NETWORK = "network."


def write_stored(folder: Path, card: Mapping[str, Any], params: Mapping[str, Tensor]) -> None:
    """Writes a network's `state_dict` into model.safetensors, and the card into config.json."""
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
    if (home / "child" / "last.ckpt").is_file():
        content = best_or_last(home / "child")
        card, state = content["child"], content["state_dict"]
        params = {k.removeprefix(NETWORK): v for k, v in state.items() if k.startswith(NETWORK)}
    elif (home / CONFIG).is_file():
        card, params = _read_written(home)
    else:
        raise ValueError(
            f"'{folder}' holds no trained child (no child/last.ckpt); give the folder of a "
            "finished nas-train run or nas-search run with retrain=true, or train what was found: "
            f"nas-train genotype={folder}"
        )
    check_version(card.get("version"), f"the child in '{folder}'")
    return card, params


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
