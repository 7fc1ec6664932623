"""Statistics and normalisation against NumPy in double precision."""

import numpy as np
import torch

from nas_lightning.data.normalisation import Normalisation, statistics


def batch(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (9, 3, 4, 5), generator=generator, dtype=torch.uint8)


def test_statistics_are_those_of_all_batches_together() -> None:
    found = statistics([batch(0), batch(1)])
    pixels = np.concatenate([batch(0).numpy(), batch(1).numpy()]) / 255
    np.testing.assert_allclose(found.mean, pixels.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(found.std, pixels.std((0, 2, 3)), rtol=1e-12)


def test_a_constant_channel_has_the_standard_deviation_one() -> None:
    assert statistics([torch.full((2, 1, 3, 3), 51, dtype=torch.uint8)]).std == (1.0,)


def test_normalised_images_are_shifted_and_scaled() -> None:
    images = batch(0)
    mean, std = np.array([0.1, 0.2, 0.3]), np.array([0.5, 0.6, 0.7])
    expected = (images.numpy() / 255 - mean[:, None, None]) / std[:, None, None]
    found = Normalisation(tuple(mean), tuple(std))(images)
    # Single precision: 2^-24 relative, a few roundings on values up to 2.
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
