"""MNIST-1D: the packaged numbers, and what reads them."""

import hashlib

import numpy as np
import pytest
import torch

from nas_lightning.data.augmentation import NO_AUGMENTATION, Augmentation
from nas_lightning.data.signals import FILE, mnist1d

HASHES = {
    "x_train": "d53506bddd12d3b7",
    "x_test": "30addc43827c82aa",
    "y_train": "6e13c7aab5f83126",
    "y_test": "9486539f99fcca7d",
}


def test_the_numbers_are_those_that_the_authors_generator_made():
    """`benchmarks/make_mnist1d.py` makes them again."""
    with np.load(FILE) as content:
        found = {name: hashlib.sha256(x.tobytes()).hexdigest()[:16] for name, x in content.items()}
    assert found == HASHES
    assert (FILE.parent / "licences" / "mnist1d.Apache-2.0.txt").is_file()


def test_it_has_four_thousand_training_signals_and_a_thousand_to_test():
    data = mnist1d(seed=0)
    assert (data.input_shape, data.num_outputs) == ((1, 40), 10)
    (x, y), (test_x, test_y) = data.training_arrays(), data.test_arrays()
    assert (x.shape, test_x.shape) == ((4000, 1, 40), (1000, 1, 40))
    assert np.bincount(y).tolist() == [398, 396, 411, 394, 394, 402, 401, 404, 402, 398]
    assert np.bincount(test_y).tolist() == [102, 104, 89, 106, 106, 98, 99, 96, 98, 102]


def test_its_signals_are_standardised_by_the_training_set():
    data = mnist1d(seed=0)
    (x, _), raw = data.training_arrays(), np.load(FILE)["x_train"].astype(np.float64)
    assert (x.mean(), x.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=1e-6))
    assert data.preprocessing["mean"] == [pytest.approx(raw.mean())]
    test_x, _ = data.test_arrays()
    wanted = (np.load(FILE)["x_test"].astype(np.float64) - raw.mean()) / raw.std()
    torch.testing.assert_close(torch.tensor(test_x), torch.tensor(wanted).float())


def test_fewer_of_them_are_a_stratified_choice():
    x, y = mnist1d(seed=0, max_images=200).training_arrays()
    assert len(y) == 200
    assert min(np.bincount(y)) >= 19
    everything = {signal.tobytes() for signal in mnist1d(seed=0).training_arrays()[0]}
    assert {signal.tobytes() for signal in x} <= everything  # and not their whole parts
    message = r"data.max_images \(12\) must leave at least 2 .* of every class, got 1; use e.g. 100"
    with pytest.raises(ValueError, match=message):
        mnist1d(seed=0, max_images=12).training_arrays()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"flip": True}, r"flip \(True\)"),
        ({"cutout": 4}, r"cutout \(4\)"),
    ],
)
def test_what_augments_images_alone_is_refused(setting, message):
    augmentation = Augmentation(**{**vars(NO_AUGMENTATION), **setting})
    with pytest.raises(
        ValueError, match=message + r" needs images, the data have the shape \(1, 40\)"
    ):
        mnist1d(seed=0, augmentation=augmentation).load()


def test_a_childs_cutout_is_refused():
    with pytest.raises(ValueError, match=r"cutout \(16\) needs images, the data have the shape"):
        mnist1d(seed=0).final(cutout=16)


def test_signals_can_be_mixed_up():
    mnist1d(seed=0, augmentation=Augmentation(0, False, mixup=0.2)).load()
