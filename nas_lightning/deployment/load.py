"""Loads a trained child to use it: class names and preprocessing included."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nas_lightning.callbacks.checkpoint_io import best_or_last
from nas_lightning.config.making import make
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.data.image_files import decode
from nas_lightning.data.normalisation import Normalisation

__all__ = ["LoadedChild", "load_child", "trusted_space"]


class LoadedChild(nn.Module):
    """A trained child: images in, logits out.

    Attributes:
        network: the child.
        genotype: what it was built from.
        class_names: names of the classes (labels, values), in the order of the outputs.
        preprocessing: plain data: channels, image_size [height, width], mean and std.
        task: plain data: targets ("classes", "labels" or "values"), and of values the mean and
            std by which outputs become values: output * std + mean.
    """

    def __init__(
        self,
        network: nn.Module,
        genotype: Genotype,
        class_names: Sequence[str],
        preprocessing: dict[str, Any],
        task: dict[str, Any],
    ) -> None:
        super().__init__()
        self.network, self.genotype = network, genotype
        self.class_names, self.preprocessing = tuple(class_names), preprocessing
        self.task = task

    def forward(self, x: Tensor) -> Tensor:
        """Returns the outputs (N, classes), e.g. logits, of preprocessed images (N, C, H, W)."""
        out: Tensor = self.network(x)
        return out

    def preprocess(self, paths: str | Path | Sequence[str | Path]) -> Tensor:
        """Returns image files as the network wants them: (N, C, H, W), normalised.

        Raises:
            ValueError: a file is no readable image.
        """
        paths = [paths] if isinstance(paths, str | Path) else paths
        if not paths:
            raise ValueError("preprocess and classify need at least one image file, got none")
        size, channels = self.preprocessing["image_size"], self.preprocessing["channels"]
        images = [decode(Path(path), (size[0], size[1]), channels) for path in paths]
        return self.normalise(torch.stack(images))

    def normalise(self, images: Tensor) -> Tensor:
        """Returns images (N, C, H, W), uint8, of the right size, as normalised floats."""
        mean, std = self.preprocessing["mean"], self.preprocessing["std"]
        return Normalisation(tuple(mean), tuple(std))(images)

    def classify(self, *paths: str | Path) -> list[str]:
        """Returns the class names of image files.

        Raises:
            ValueError: a file is no readable image, or the network knows no classes.
        """
        if self.task["targets"] != "classes":
            raise ValueError(
                f"classify needs a network of classes, this one gives {self.task['targets']}; "
                "use predict"
            )
        return [self.class_names[index] for index in self._outputs(paths).argmax(dim=1).tolist()]

    def predict(self, *paths: str | Path) -> list[dict[str, float]]:
        """Returns what is told of each image file, by the name of the class, label or value.

        That is the probability of each class or label, or the value in the units of the targets.

        Raises:
            ValueError: a file is no readable image.
        """
        outputs = self._outputs(paths)
        if self.task["targets"] == "classes":
            told = outputs.softmax(dim=1)
        elif self.task["targets"] == "labels":
            told = outputs.sigmoid()
        else:
            told = outputs * torch.tensor(self.task["std"]) + torch.tensor(self.task["mean"])
        return [dict(zip(self.class_names, row, strict=True)) for row in told.tolist()]

    @torch.inference_mode()
    def _outputs(self, paths: Sequence[str | Path]) -> Tensor:
        out: Tensor = self(self.preprocess(paths))
        return out


def load_child(run_dir: str | Path, space: SearchSpace | None = None) -> LoadedChild:
    """Returns the trained child of a run, in eval mode, on the CPU.

    Args:
        run_dir: the folder that nas-search or nas-train printed.
        space: the search space, where it is the user's own (`CustomSpace`): code that a
            checkpoint names is not run. None takes the one of the checkpoint.

    Raises:
        ValueError: the folder holds no trained child.
    """
    folder = Path(run_dir).expanduser() / "child"
    if not (folder / "last.ckpt").is_file():
        raise ValueError(
            f"'{run_dir}' holds no trained child (no child/last.ckpt); give the folder of a "
            "finished nas-train run or nas-search run with retrain=true, or train what was found: "
            f"nas-train genotype={run_dir}"
        )
    content = best_or_last(folder)
    card = content["child"]
    if space is None:
        node = trusted_space(card["space"], "the checkpoint")
        space = make(node, "search_space", kind=SearchSpace)
    scale = Scale(**(card["scale"] | {"input_shape": tuple(card["scale"]["input_shape"])}))
    space = space.fitted(scale)
    genotype = space.validate(Genotype.from_json(card["genotype"]))
    network = space.child(genotype, scale)
    prefix = "network."
    state = {
        k.removeprefix(prefix): v for k, v in content["state_dict"].items() if k.startswith(prefix)
    }
    network.load_state_dict(state)
    names, preprocessing = card["class_names"], card["preprocessing"]
    return LoadedChild(network, genotype, names, preprocessing, card["task"]).eval()


def trusted_space(node: dict[str, Any], source: str) -> dict[str, Any]:
    """Returns the node of a search space that was read from a file.

    Args:
        node: the configuration of the space.
        source: what it was read from, for the message.

    Raises:
        ValueError: it holds more than a `Scale` and plain data.
    """
    scale = f"{Scale.__module__}.{Scale.__qualname__}"
    for name, value in node.items():
        if isinstance(value, dict) and value.get("_target_", scale) != scale:
            raise ValueError(
                f"{source}: search_space.{name} names {value['_target_']!r}; a space that is read "
                "from a file may hold a Scale and plain data only; name the space yourself: "
                "load_child(RUN_DIR, space), or search_space=... on a command line"
            )
    return node
