"""The data module as a search, its candidates and its final child see it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nas_lightning.data.augmentation import Augmentation
from nas_lightning.data.batches import PairedBatches, ShuffledBatches
from nas_lightning.data.images import ImageArrays
from nas_lightning.data.module import ImageDataModule, View
from nas_lightning.data.sources import folder

Source = Callable[..., ImageArrays]


@dataclass(frozen=True, eq=False)
class Forbidden:
    """Images that nobody may read."""

    shape: tuple[int, int, int]
    number: int

    def __len__(self) -> int:
        return self.number

    def read(self, indices: Tensor) -> Tensor:
        raise AssertionError("the test set was read")

    def unreadable(self, whole: bool = True) -> dict[int, str]:
        return {}


@pytest.fixture
def data(noise: Source) -> ImageDataModule:
    return made(noise)


def made(source: Source, **options: Any) -> ImageDataModule:
    defaults: dict[str, Any] = {"batch_size": 8, "augmentation": Augmentation(2, True)}
    settings = {"seed": 0} | defaults | options
    return ImageDataModule(source, **settings)


def steps(loader: PairedBatches, epoch: int) -> Tensor:
    loader.set_epoch(epoch)
    return torch.cat([step[part][0] for step in loader for part in ("train", "val")])


def epoch_of(stage: View, epoch: int = 0) -> tuple[Tensor, Tensor]:
    loader = stage.train_dataloader()
    assert isinstance(loader, ShuffledBatches)
    loader.set_epoch(epoch)
    images, labels = zip(*loader, strict=True)
    return torch.cat(images), torch.cat(labels)


def search_loader(data: ImageDataModule) -> PairedBatches:
    loader = data.search().train_dataloader()
    assert isinstance(loader, PairedBatches)
    return loader


def test_shape_classes_and_preprocessing_are_those_of_the_training_set(
    data: ImageDataModule, noise: Source
) -> None:
    arrays = noise()
    pixels = arrays.train.read(torch.arange(60)).numpy() / 255
    assert (data.input_shape, data.num_outputs) == ((2, 10, 12), 3)
    assert data.class_names == ("ant", "bee", "cat")
    found = data.preprocessing
    assert (found["channels"], found["image_size"]) == (2, [10, 12])
    np.testing.assert_allclose(found["mean"], pixels.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(found["std"], pixels.std((0, 2, 3)), rtol=1e-12)


def test_the_search_divides_the_training_set(data: ImageDataModule) -> None:
    train, val = (loader.indices for loader in (search_loader(data).train, search_loader(data).val))
    assert torch.cat([train, val]).sort().values.tolist() == list(range(60))


def test_the_split_hash_is_that_of_the_seed(noise: Source) -> None:
    hashes = [made(noise, seed=seed).split_hash for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1]
    assert hashes[0] != hashes[2]


def test_loading_again_reads_nothing(noise: Source) -> None:
    calls = []

    def source(**arguments: object) -> ImageArrays:
        calls.append(arguments)
        return noise()

    data = made(source, path="p", image_size=[10, 12], channels=2)
    data.load()
    data.load()
    assert calls == [{"path": "p", "image_size": (10, 12), "channels": 2}]


def test_fewer_validation_images_than_steps_come_round_again(noise: Source) -> None:
    loader = search_loader(made(noise, validation_share=0.2))
    labels = torch.cat([step["val"][1] for step in loader])
    assert (len(loader), len(loader.val.indices), len(labels)) == (6, 12, 48)
    assert torch.bincount(labels).tolist() == [16, 16, 16]


def test_the_search_goes_on_at_an_epoch_with_the_same_bits(noise: Source) -> None:
    through, fresh = search_loader(made(noise)), search_loader(made(noise))
    for epoch in range(3):
        steps(through, epoch)
    assert torch.equal(steps(through, 3), steps(fresh, 3))


def test_workers_search_with_the_bits_of_memory(noise: Source) -> None:
    memory, workers = made(noise), made(noise, memory_limit_gib=0.0)
    assert memory.preprocessing == workers.preprocessing
    assert torch.equal(steps(search_loader(memory), 1), steps(search_loader(workers), 1))


def test_workers_evaluate_with_the_bits_of_memory(noise: Source) -> None:
    stages = [made(noise, memory_limit_gib=limit).final(0.2) for limit in (1.0, 0.0)]
    for loaders in zip(*((s.val_dataloader(), s.test_dataloader()) for s in stages), strict=True):
        images = [torch.cat([batch[0] for batch in loader]) for loader in loaders]
        assert torch.equal(images[0], images[1])


def test_search_and_candidates_neither_read_nor_know_the_test_set(noise: Source) -> None:
    def poisoned(**_: object) -> ImageArrays:
        arrays = noise()
        return replace(
            arrays, test=Forbidden(arrays.test.shape, 12), test_labels=arrays.test_labels.flip(0)
        )

    data, known = made(poisoned), made(noise)
    assert torch.equal(steps(search_loader(data), 0), steps(search_loader(known), 0))
    assert torch.equal(epoch_of(data.candidate())[0], epoch_of(known.candidate())[0])
    assert data.preprocessing == known.preprocessing
    assert (len(list(data.search().val_dataloader())), data.split_hash) == (2, known.split_hash)


@pytest.mark.parametrize("view", ["search", "candidate"])
def test_a_search_may_not_ask_for_the_test_set(data: ImageDataModule, view: str) -> None:
    with pytest.raises(ValueError, match=r"must not see the test set; use final\(\)"):
        getattr(data, view)().test_dataloader()


def test_a_candidate_trains_on_the_searchs_part(noise: Source) -> None:
    data = made(noise, batch_size=30)
    expected = data.search().train_dataloader()
    assert isinstance(expected, PairedBatches)
    loader = data.candidate().train_dataloader()
    assert isinstance(loader, ShuffledBatches)
    assert torch.equal(loader.indices, expected.train.indices)


def test_a_cheap_candidate_sees_fewer_and_smaller_images(data: ImageDataModule) -> None:
    stage = data.candidate(max_samples=12, image_size=8, batch_size=6)
    images, labels = epoch_of(stage)
    assert images.shape == (12, 2, 8, 8)
    assert torch.bincount(labels).tolist() == [4, 4, 4]
    assert [tuple(x.shape[1:]) for x, _ in stage.val_dataloader()] == [(2, 8, 8)] * 2


def test_a_candidate_validates_on_the_searchs_validation_images(data: ImageDataModule) -> None:
    found = [batch[0] for batch in data.candidate(max_samples=12).val_dataloader()]
    expected = [batch[0] for batch in data.search().val_dataloader()]
    assert torch.equal(torch.cat(found), torch.cat(expected))


def test_the_final_child_trains_on_everything(noise: Source) -> None:
    _, labels = epoch_of(made(noise, batch_size=30).final())
    assert torch.bincount(labels).tolist() == [20, 20, 20]


def test_the_final_child_has_no_validation_unless_asked(data: ImageDataModule) -> None:
    assert data.final().val_dataloader() == []


def test_a_held_out_share_is_not_trained_on(data: ImageDataModule) -> None:
    stage = data.final(validation_share=0.2)
    loader = stage.train_dataloader()
    assert isinstance(loader, ShuffledBatches)
    labels = torch.cat([batch[1] for batch in stage.val_dataloader()])
    assert (len(loader.indices), torch.bincount(labels).tolist()) == (48, [4, 4, 4])


def test_a_search_mixes_what_it_trains_on_alone(noise: Source) -> None:
    augmentation = Augmentation(2, True, mixup=0.5)
    step = next(iter(search_loader(made(noise, augmentation=augmentation))))
    assert (step["train"][1].shape, step["val"][1].shape) == ((8, 3), (8,))


def test_cutout_is_added_for_a_child(noise: Source) -> None:
    plain = made(noise, augmentation=None)
    whole, cut = (epoch_of(plain.final(cutout=side))[0] for side in (0, 4))
    assert torch.equal(whole[cut != 0], cut[cut != 0])
    assert bool((cut == 0).flatten(1).any(1).all())


def test_arrays_for_a_baseline_are_normalised_training_and_test_images(
    data: ImageDataModule,
) -> None:
    (train, train_labels), (test, test_labels) = data.training_arrays(), data.test_arrays()
    assert (train.dtype.name, test.dtype.name) == ("float32", "float32")
    assert (train.shape, test.shape) == ((60, 2, 10, 12), (12, 2, 10, 12))
    assert (train_labels.shape, test_labels.shape) == ((60,), (12,))
    # Sums of 7,200 single-precision numbers a channel.
    np.testing.assert_allclose(train.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(train.std((0, 2, 3)), 1, atol=1e-5)


def test_the_module_itself_is_the_final_view(data: ImageDataModule) -> None:
    own = data.train_dataloader()
    assert isinstance(own, ShuffledBatches)
    assert torch.equal(torch.cat([batch[0] for batch in own]), epoch_of(data.final())[0])
    assert (data.val_dataloader(), len(list(data.test_dataloader()))) == ([], 1)


def test_batches_leave_the_global_generator_alone(data: ImageDataModule) -> None:
    before = torch.random.get_rng_state()
    steps(search_loader(data), 0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_batch_larger_than_the_split_is_refused_before_images_are_read(noise: Source) -> None:
    def unreadable(**_: object) -> ImageArrays:
        arrays = noise()
        return replace(arrays, train=Forbidden(arrays.train.shape, 60))

    with pytest.raises(
        ValueError, match=r"^data\.batch_size \(31\) must not exceed the 30 samples"
    ):
        made(unreadable, batch_size=31).load()


@pytest.mark.parametrize(
    ("view", "options", "message"),
    [
        ("candidate", {"max_samples": 6}, r"^data\.batch_size \(8\) must not exceed the 6 samples"),
        ("candidate", {"max_samples": 0}, r"max_samples \(0\) must be at least 1"),
        ("candidate", {"image_size": 7}, r"image_size \(7\) must be .* at least 8"),
        ("candidate", {"batch_size": 0}, r"^batch_size \(0\) must be at least 1"),
        (
            "final",
            {"batch_size": 61},
            r"^child\.batch_size \(61\) must not exceed the 60 .* use child\.batch_size=60 ",
        ),
        ("final", {"validation_share": 1.5}, r"validation_share \(1.5\) must be in \(0, 1\)"),
    ],
)
def test_an_impossible_view_is_refused(
    data: ImageDataModule, view: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(data, view)(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, r"data.batch_size \(0\) must be at least 1"),
        ({"num_workers": -1}, r"data.num_workers \(-1\) must be at least 0"),
        ({"memory_limit_gib": -2.0}, r"data.memory_limit_gib \(-2.0\) must be at least 0"),
        ({"image_size": 4}, r"image_size \(4\) must be .* at least 8"),
    ],
)
def test_an_impossible_setting_is_refused(
    noise: Source, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        made(noise, **options)


def test_an_impossible_validation_share_is_refused(noise: Source) -> None:
    with pytest.raises(ValueError, match=r"validation_share \(1.0\) must be in \(0, 1\)"):
        made(noise, validation_share=1.0).load()


@pytest.mark.parametrize("part", ["train", "test"])
def test_loading_names_a_damaged_file(
    tmp_path: Path, paint: Callable[..., Path], part: str
) -> None:
    for each in ("train/ant", "train/bee", "test/ant"):
        paint(tmp_path / each, 3, size=(40, 40))
    damaged = tmp_path / part / "ant" / "L-40-1.png"
    damaged.write_bytes(damaged.read_bytes()[:300])
    with pytest.raises(ValueError, match=f"cannot read the image '{damaged}'"):
        made(folder, path=str(tmp_path), batch_size=1).load()


def test_workers_read_files_with_the_bits_of_memory(
    tmp_path: Path, paint: Callable[..., Path]
) -> None:
    for name in ("ant", "bee"):
        paint(tmp_path / name, 10, "RGB")
    made_both = [made(folder, path=str(tmp_path), memory_limit_gib=limit) for limit in (1.0, 0.0)]
    memory, workers = (epoch_of(each.final())[0] for each in made_both)
    assert torch.equal(memory, workers)
