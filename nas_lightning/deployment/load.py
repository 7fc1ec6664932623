"""Loads a trained child to use it: class names and preprocessing included."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nas_lightning.config.making import make
from nas_lightning.config.sources import recorded_sources
from nas_lightning.config.trust import Trust
from nas_lightning.core.checks import one_of
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.head import head_tensors, load_params
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.deployment.backbone import Backbone, features_of, head_layers, num_features
from nas_lightning.deployment.inputs import Input, Inputs
from nas_lightning.deployment.stored import read_stored, write_stored
from nas_lightning.search_spaces.custom import CustomSpace
from nas_lightning.training.child import build_child

__all__ = ["LoadedChild", "load_child"]

TARGETS = ("classes", "labels", "values")
BATCH_SIZE = 256  # inputs that predict and classify compute at once


class LoadedChild(nn.Module):
    """A trained child: inputs, e.g. images, in; logits out.

    `predict` and `classify` take image files, PIL images, numpy arrays and tensors, or lists of
    them; an array is one input or a batch of them. They return a list with an answer per input,
    also for one or none. What an array must hold: `nas_lightning.deployment.inputs.Inputs`.

    Attributes:
        class_names: names of the classes (labels, values), in the order of the outputs.
        input_shape: of one input, e.g. (channels, height, width) of an image.
        preprocessing: plain data: channels, image_size [height, width], mean and std of images.
        task: plain data: targets ("classes", "labels" or "values"), and of values the mean and
            std by which outputs become values: output * std + mean.

    Args:
        network: of the card's genotype and scale.
        space: the search space that builds it.
        card: what a checkpoint tells: version, space, genotype, scale, task, class_names,
            preprocessing.
    """

    def __init__(self, network: nn.Module, space: SearchSpace, card: Mapping[str, Any]) -> None:
        super().__init__()
        self.network, self.space, self.card = network, space, dict(card)
        self.genotype, self.scale = Genotype.from_json(card["genotype"]), _scale(card)
        self.class_names, self.input_shape = tuple(card["class_names"]), self.scale.sample_shape()
        self.preprocessing, self.task = card["preprocessing"], card["task"]
        self.inputs = Inputs(self.input_shape, self.preprocessing)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the outputs (N, classes), e.g. logits, of preprocessed inputs (N, ...).

        Raises: ValueError: x is no batch of them.
        """
        self.inputs.check("child", x)
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

        Raises:
            ValueError: an input cannot be used (see `Inputs.batch`), the network knows no classes,
                or its head was replaced by hand.
        """
        if self.task["targets"] != "classes":
            raise ValueError(
                f"classify needs a network of classes, this one gives {self.task['targets']}; "
                "use predict"
            )
        outputs = self._outputs(inputs)
        return [self.class_names[index] for index in outputs.argmax(dim=1).tolist()]

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

    def features(self, x: Tensor) -> Tensor:
        """Returns what the head reads (N, num_features), e.g. pooled maps, of preprocessed inputs.

        Raises: ValueError: no layer of the head is linear or a convolution, or x is no batch.
        """
        self.inputs.check("child.features", x)
        return features_of(self.network, self._head_layers(), x)

    @property
    def num_features(self) -> int:
        """Number of features of one input."""
        return num_features(self.network, self._head_layers(), self.input_shape)

    @property
    def backbone(self) -> Backbone:
        """A new copy without the head: a module whose outputs are the features."""
        return Backbone(self.network, self._head(), self.input_shape)

    def with_head(
        self, class_names: Sequence[str], seed: int = 0, targets: str | None = None
    ) -> "LoadedChild":
        """Returns a child with a new, untrained head for these classes, labels or values.

        All other params are copies of this child's, also where its head was replaced by hand.

        Args:
            class_names: names of the outputs, in their order.
            seed: seed of the head's initial params.
            targets: "classes", "labels" or "values"; None takes this child's.

        Raises: ValueError: the names are none, not texts or not unique, or `targets` is unknown.
        """
        names = _checked_names(class_names)
        targets = self.task["targets"] if targets is None else targets
        one_of("targets", targets, TARGETS)
        scale = replace(self.scale, num_outputs=len(names))
        network = build_child(self.space, self.genotype, scale, seed)
        # A head that was replaced by hand has tensors of any name.
        own = self.network.state_dict()
        params = {name: own[name] for name in own if name in network.state_dict()}
        load_params(network, params, head_tensors(self.space, self.genotype, scale))
        units = {"mean": [0.0] * len(names), "std": [1.0] * len(names)}
        task = {"targets": targets, **(units if targets == "values" else {})}
        changed = {"scale": asdict(scale), "class_names": list(names), "task": task}
        child = LoadedChild(network, self.space, self.card | changed)
        return child.to(next(self.parameters())).train(self.training)

    def save(self, folder: str | Path) -> None:
        """Writes the child into a folder that `load_child` reads: params, and what they are.

        model.safetensors holds the params, config.json plain data. Files of these names are
        replaced.

        Raises: ValueError: the head was replaced by hand, or the folder is that of a run.
        """
        if is_other := _differing(self.space, self.genotype, self.scale, self.network):
            raise ValueError(
                f"the network ({is_other}) must be what the search space builds; put another head "
                "in by child.with_head(class_names)"
            )
        write_stored(Path(folder).expanduser(), self.card, self.network.state_dict())

    def _head(self) -> tuple[str, ...]:
        return head_tensors(self.space, self.genotype, self.scale)

    def _head_layers(self) -> list[str]:
        return head_layers(self.network, self._head())

    @torch.inference_mode()
    def _outputs(self, inputs: Sequence[Any]) -> Tensor:
        """Returns the outputs (N, classes), on the CPU, computed in parts that fit the memory."""
        if not inputs:
            raise ValueError(
                "predict and classify need at least one input, got none; a list may be empty"
            )
        like = next(self.parameters())
        batch = self.preprocess(inputs)
        parts = [batch[start : start + BATCH_SIZE] for start in range(0, len(batch), BATCH_SIZE)]
        outputs = [self(part.to(like)).cpu() for part in parts]
        names = len(self.class_names)
        if wrong := [part.shape for part in outputs if part.shape[1:] != (names,)]:
            raise ValueError(
                f"the outputs {tuple(wrong[0])} must be one per name in class_names ({names}): the "
                "head was replaced by hand; use child.with_head(class_names), which knows the new "
                "names"
            )
        return torch.cat([torch.empty(0, names), *outputs])


def load_child(
    run_dir: str | Path,
    space: SearchSpace | Callable[..., nn.Module] | None = None,
    *,
    trust: bool = False,
) -> LoadedChild:
    """Returns the trained child of a run, in eval mode, on the CPU.

    Args:
        run_dir: the folder that nas-search or nas-train printed, or one that `LoadedChild.save` or
            `push_to_hub` wrote.
        space: the search space, or what builds the module with its marks, where it is the
            user's own. None takes the checkpoint's.
        trust: whether code of others that the checkpoint names may be imported and called.

    Raises:
        ValueError: the folder holds no trained child, or one of another minor version, or the
            checkpoint names code that is not trusted.
    """
    card, params = read_stored(run_dir)
    if space is None:
        folder = Path(run_dir).expanduser()
        Trust(trust).check(
            {"search_space": card["space"]}, f"the child in '{run_dir}'", recorded_sources(folder)
        )
        space = make(card["space"], "search_space", kind=SearchSpace)
    space = _as_space(space)
    scale = _scale(card)
    space = space.fitted(scale)
    genotype = space.validate(Genotype.from_json(card["genotype"]))
    network = space.child(genotype, scale)
    network.load_state_dict(params)
    return LoadedChild(network, space, card).eval()


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


def _scale(card: Mapping[str, Any]) -> Scale:
    return Scale(**(card["scale"] | {"input_shape": tuple(card["scale"]["input_shape"])}))


def _checked_names(class_names: Sequence[str]) -> tuple[str, ...]:
    is_several = isinstance(class_names, Iterable) and not isinstance(class_names, str)
    names = tuple(class_names) if is_several else ()
    are_texts = all(isinstance(name, str) for name in names)
    if not names or not are_texts or len(set(names)) < len(names):
        raise ValueError(
            f"class_names ({class_names!r}) must be one text per output, no two alike; give e.g. "
            "['oak', 'elm']"
        )
    return names


def _differing(space: SearchSpace, genotype: Genotype, scale: Scale, network: nn.Module) -> str:
    """Returns the first tensor of a network that is not as the space builds it; "" if all are."""
    with torch.device("meta"):
        built = {n: v.shape for n, v in space.child(genotype, scale).state_dict().items()}
    there = {n: v.shape for n, v in network.state_dict().items()}
    names = (name for name in there | built if there.get(name) != built.get(name))
    return next((f"{name} {tuple(there.get(name, ()))}" for name in names), "")
