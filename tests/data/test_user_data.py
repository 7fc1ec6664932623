"""A user's own LightningDataModule is checked, and gives the same batches whenever asked."""

import random
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from own_data import Digits, Untested
from torch import Tensor
from torch.utils.data import DataLoader

from nas_lightning.data.batches import Place
from nas_lightning.data.keyed_loader import KeyedLoader, TrainingLoader
from nas_lightning.data.user_data import UserData, as_run_data, no_module


class Turned(Digits):
    """Digits of other pixels, and nothing else."""

    def setup(self, stage: str) -> None:
        super().setup(stage)
        for part in self.parts:
            part.tensors = (1 - part.tensors[0], part.tensors[1])


def made(module: object | None = None, targets: str = "classes") -> UserData:
    return UserData(Digits() if module is None else module, 0, targets)


def epoch_of(loader: Any, epoch: int) -> Tensor:
    loader.set_epoch(epoch)
    return torch.cat([images for images, _ in loader])


def test_shape_classes_and_size_of_a_batch_are_found() -> None:
    data = made()
    data.load()
    assert (data.input_shape, data.num_outputs, data.batch_size) == ((1, 8, 8), 10, 16)
    assert (data.class_names, data.name) == (tuple("0123456789"), "Digits")
    assert data.preprocessing == {
        "channels": 1,
        "image_size": [8, 8],
        "mean": [0.0],
        "std": [1.0],
    }


def test_other_content_is_another_identity_and_another_seed_is_not() -> None:
    assert UserData(Digits(), 1, "classes").identity == made().identity
    other = made(Turned()).identity
    changed = {key for key, value in made().identity.items() if other[key] != value}
    assert changed == {"first validation batch"}


def test_an_epoch_is_the_same_whenever_it_is_asked_for() -> None:
    through, fresh = (made().final().train_dataloader() for _ in range(2))
    epochs = [epoch_of(through, epoch) for epoch in range(2)]
    torch.manual_seed(1)
    random.seed(1)
    assert torch.equal(epoch_of(fresh, 1), epochs[1])
    assert not torch.equal(epochs[0].sort().values, epochs[1].sort().values)


def test_a_loaders_own_generator_follows_the_epoch() -> None:
    data = Digits()
    data.setup("fit")

    def loader() -> KeyedLoader:
        own = data.loader(0, shuffle=True, generator=torch.Generator())
        return KeyedLoader(own, (0, "train"), Place(torch.device("cpu")), Tensor.long)

    through = loader()
    epoch_of(through, 0)
    assert torch.equal(epoch_of(through, 1), epoch_of(loader(), 1))


def test_the_trainings_draws_are_left_alone() -> None:
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    epoch_of(made().final().train_dataloader(), 0)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]


def test_the_parts_of_two_processes_make_the_whole_batch() -> None:
    data = Digits()
    data.setup("fit")
    places = [Place(torch.device("cpu"), rank, 2) for rank in range(2)]
    loader = data.loader(0, shuffle=True)
    parts = [list(KeyedLoader(loader, (0, "x"), place, Tensor.long)) for place in places]
    whole = KeyedLoader(loader, (0, "x"), Place(torch.device("cpu")), Tensor.long)
    for number, (images, _) in enumerate(whole):
        assert torch.equal(torch.cat([part[number][0] for part in parts]), images)


@pytest.mark.parametrize(("size", "parts"), [(5, [[0, 1], [2, 3]]), (1, [[0], [0]])])
def test_training_parts_are_equally_large(size: int, parts: list[list[int]]) -> None:
    numbers = torch.arange(size)
    loader = [(numbers.view(-1, 1, 1, 1).float(), numbers)]
    places = [Place(torch.device("cpu"), rank, 2) for rank in range(2)]
    batches = [list(TrainingLoader(loader, (0, "x"), place, Tensor.long)) for place in places]
    assert [targets.tolist() for ((_, targets),) in batches] == parts


def test_a_search_pairs_training_and_validation_batches() -> None:
    module = Digits()
    steps = list(made(module).search().train_dataloader())
    assert (len(steps), sorted(steps[0])) == (6, ["train", "val"])


def test_fewer_validation_batches_come_round_again() -> None:
    module = Digits()
    module.val_dataloader = lambda: module.loader(1, sampler=range(20))  # type: ignore[method-assign]
    steps = list(made(module).search().train_dataloader())
    assert [len(step["val"][1]) for step in steps] == [16, 4] * 3


def test_a_cheap_candidate_sees_fewer_batches() -> None:
    assert len(list(made().candidate(max_samples=40).train_dataloader())) == 2


def test_a_found_child_is_validated_where_it_is_asked_for() -> None:
    assert made().final().val_dataloader() == []
    assert len(list(made().final(0.1).val_dataloader())) == 6


def test_arrays_for_a_baseline_are_the_modules_images() -> None:
    data = made()
    assert [part.shape for part in data.training_arrays()] == [(96, 1, 8, 8), (96,)]
    assert len(data.test_arrays()[1]) == 96


def test_values_become_a_column_with_their_statistics() -> None:
    data = made(targets="values")
    data.load()
    mean, std = data.target_statistics
    targets = data.training_arrays()[1]
    assert (data.num_outputs, targets.shape) == (1, (96, 1))
    assert (float(mean), float(std)) == pytest.approx((targets.mean(), targets.std()), rel=1e-5)


@pytest.mark.parametrize("shape", [(2, 30), (7,)])
def test_signals_and_tables_need_their_preprocessing_alone(shape: tuple[int, ...]) -> None:
    module: Any = Digits()
    batches = [(torch.randn(4, *shape, generator=torch.Generator()), torch.arange(4))]
    module.loader = lambda number, **options: batches
    module.preprocessing = {"mean": [0.0] * shape[0], "std": [1.0] * shape[0]}
    data = made(module)
    data.load()
    assert (data.input_shape, len(data.training_arrays()[0])) == (shape, 4)
    assert data.preprocessing == {"input_shape": list(shape), **module.preprocessing}


class Flat(Digits):
    def loader(self, number: int, **options: Any) -> Any:
        return [(torch.zeros(4, 64), torch.zeros(4))]


class Bright(Digits):
    def loader(self, number: int, **options: Any) -> Any:
        return [(torch.full((4, 1, 8, 8), 3.0), torch.zeros(4))]


class Odd(Digits):
    def loader(self, number: int, **options: Any) -> Any:
        return [(torch.zeros(4, 1, 8, 8), torch.tensor([0, 1, 2, 10]))]


class Unpaired(Digits):
    def loader(self, number: int, **options: Any) -> Any:
        return DataLoader(torch.zeros(8, 1, 8, 8), 4)


class Endless(Digits):
    def loader(self, number: int, **options: Any) -> Any:
        return iter(())


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (object(), r"data._target_ must be a LightningDataModule, got object"),
        (L.LightningDataModule(), r"\(LightningDataModule\) must have train_dataloader"),
        (Untested(), r"data._target_ \(Untested\) must have test_dataloader; add it"),
        (Digits(num_classes=None), r"\(Digits\) must have class_names or num_classes"),
        (Flat(), r"train_dataloader\(\) must hold images, .* got torch.float32 \(4, 64\)"),
        (Bright(), r"has values from 3 to 3: .* need an attribute `preprocessing`"),
        (Odd(), r"class indices \(N,\) in \[0, 10\) for its 4 images, got \(4,\), 0 to 10"),
        (Unpaired(), r"train_dataloader\(\) must give batches \(samples, targets\) of tensors"),
        (Endless(), r"must return one loader with a length, got tuple_iterator"),
    ],
)
def test_a_module_that_breaks_the_contract_is_refused(module: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(module).load()


@pytest.mark.parametrize(
    ("view", "options", "message"),
    [
        ("candidate", {"image_size": 8}, r"evaluation.image_size \(8\) must be None"),
        ("candidate", {"batch_size": 8}, r"child.batch_size \(8\) must be 16"),
        ("final", {"cutout": 4}, r"child.cutout \(4\) must be 0"),
        ("final", {"batch_size": 8}, r"child.batch_size \(8\) must be 16"),
    ],
)
def test_what_only_our_images_can_do_is_refused(
    view: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(made(), view)(**options)


def test_a_module_must_be_named() -> None:
    with pytest.raises(ValueError, match=r"add data._target_=package.Module"):
        no_module()


def test_our_own_data_stay_what_they_are() -> None:
    from nas_lightning.data.module import ImageDataModule
    from nas_lightning.data.sources import digits

    data = ImageDataModule(digits, seed=0)
    assert as_run_data(data, 0, "classes") is data
