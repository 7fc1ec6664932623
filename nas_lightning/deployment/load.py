"""Loads a trained child to use it: class names and preprocessing included."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nas_lightning.callbacks.checkpoint import best_or_last
from nas_lightning.config.making import make
from nas_lightning.config.sources import recorded_sources
from nas_lightning.config.trust import Trust, check_version
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.deployment.inputs import Input, Inputs
from nas_lightning.search_spaces.custom import CustomSpace

__all__ = ["LoadedChild", "load_child"]

BATCH_SIZE = 256  # inputs that predict and classify compute at once


class LoadedChild(nn.Module):
    """A trained child: inputs, e.g. images, in; logits out.

    `predict` and `classify` take image files, PIL images, numpy arrays and tensors, or lists of
    them; an array is one input or a batch of them. They return a list with an answer per input,
    also for one. What an array must hold: `nas_lightning.deployment.inputs.Inputs`.

    Attributes:
        class_names: names of the classes (labels, values), in the order of the outputs.
        input_shape: of one input, e.g. (channels, height, width) of an image.
        preprocessing: plain data: channels, image_size [height, width], mean and std of images.
        task: plain data: targets ("classes", "labels" or "values"), and of values the mean and
            std by which outputs become values: output * std + mean.

    Raises:
        ValueError: a file is no readable image, there is no input, or an array does not fit.
        TypeError: an input is no file, image, array or tensor.
    """

    def __init__(
        self,
        network: nn.Module,
        genotype: Genotype,
        class_names: Sequence[str],
        input_shape: Sequence[int],
        preprocessing: dict[str, Any],
        task: dict[str, Any],
    ) -> None:
        super().__init__()
        self.network, self.genotype = network, genotype
        self.class_names, self.input_shape = tuple(class_names), tuple(input_shape)
        self.preprocessing, self.task = preprocessing, task
        self.inputs = Inputs(self.input_shape, preprocessing)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the outputs (N, classes), e.g. logits, of preprocessed inputs (N, ...)."""
        out: Tensor = self.network(x)
        return out

    def preprocess(self, inputs: Input | Sequence[Any]) -> Tensor:
        """Returns inputs as the network wants them: (N, *input_shape), of images normalised."""
        return self.inputs.batch(inputs)

    def normalise(self, images: Tensor) -> Tensor:
        """Returns images (N, C, H, W), uint8, of the right size, as normalised floats."""
        return self.inputs.normalise(images)

    def classify(self, *inputs: Input | Sequence[Any]) -> list[str]:
        """Returns the class name of each input.

        Raises: ValueError: an input cannot be used, or the network knows no classes.
        """
        if self.task["targets"] != "classes":
            raise ValueError(
                f"classify needs a network of classes, this one gives {self.task['targets']}; "
                "use predict"
            )
        return [self.class_names[index] for index in self._outputs(inputs).argmax(dim=1).tolist()]

    def predict(self, *inputs: Input | Sequence[Any]) -> list[dict[str, float]]:
        """Returns each input's probabilities by class or label, or values in the targets' units."""
        outputs = self._outputs(inputs)
        if self.task["targets"] == "classes":
            answers = outputs.softmax(dim=1)
        elif self.task["targets"] == "labels":
            answers = outputs.sigmoid()
        else:
            answers = outputs * torch.tensor(self.task["std"]) + torch.tensor(self.task["mean"])
        return [dict(zip(self.class_names, row, strict=True)) for row in answers.tolist()]

    @torch.inference_mode()
    def _outputs(self, inputs: Sequence[Any]) -> Tensor:
        """Returns the outputs (N, classes), on the CPU, computed in parts that fit the memory."""
        like = next(self.parameters())
        batch = self.preprocess(inputs)
        parts = [batch[start : start + BATCH_SIZE] for start in range(0, len(batch), BATCH_SIZE)]
        return torch.cat([self(part.to(like)).cpu() for part in parts])


def load_child(
    run_dir: str | Path,
    space: SearchSpace | Callable[..., nn.Module] | None = None,
    *,
    trust: bool = False,
) -> LoadedChild:
    """Returns the trained child of a run, in eval mode, on the CPU.

    Args:
        run_dir: the folder that nas-search or nas-train printed.
        space: the search space, or what builds the module with its marks, where it is the
            user's own. None takes the checkpoint's.
        trust: whether code of others that the checkpoint names may be imported and called.

    Raises: ValueError: the folder holds no trained child, or one of another minor version, or the
        checkpoint names code that is not trusted.
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
    check_version(card.get("version"), f"the child in '{run_dir}'")
    if space is None:
        sources = recorded_sources(folder.parent)
        Trust(trust).check({"search_space": card["space"]}, f"the child in '{run_dir}'", sources)
        space = make(card["space"], "search_space", kind=SearchSpace)
    space = _as_space(space)
    scale = Scale(**(card["scale"] | {"input_shape": tuple(card["scale"]["input_shape"])}))
    space = space.fitted(scale)
    genotype = space.validate(Genotype.from_json(card["genotype"]))
    network = space.child(genotype, scale)
    names, shape = card["class_names"], scale.sample_shape()
    child = LoadedChild(network, genotype, names, shape, card["preprocessing"], card["task"])
    params = {k: v for k, v in content["state_dict"].items() if k.startswith("network.")}
    child.load_state_dict(params)
    return child.eval()


def _as_space(space: Any) -> SearchSpace:
    """Returns a search space, also of its class and of what builds a module with marks."""
    is_class = isinstance(space, type) and issubclass(space, SearchSpace)
    space = space() if is_class else space
    if isinstance(space, SearchSpace):
        return space
    if not callable(space):
        raise ValueError(
            f"space ({space!r}) must be a SearchSpace, or what builds the module with its marks"
        )
    return CustomSpace(space)
