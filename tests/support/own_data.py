"""LightningDataModules of a user's own."""

import random

import lightning as L
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


class Noisy(TensorDataset):
    """Images with noise of every global generator."""

    def __getitem__(self, index):
        image, target = super().__getitem__(index)
        noise = torch.rand(()) + random.random() + float(np.random.rand())
        return (image + 0.01 * noise) / 1.03, target


class Digits(L.LightningDataModule):
    """Some digits, shuffled and made noisy by loaders that know no keys."""

    def __init__(self, images: int = 96, batch_size: int = 16, num_classes: int | None = 10):
        super().__init__()
        self.images, self.batch_size, self.num_classes = images, batch_size, num_classes

    def setup(self, stage):
        x, y = load_digits(return_X_y=True)
        x, y = torch.tensor(x).view(-1, 1, 8, 8).float() / 16, torch.tensor(y)
        parts = torch.arange(3 * self.images).split(self.images)
        self.parts = [Noisy(x[part], y[part]) for part in parts]

    def loader(self, number, **options):
        return DataLoader(self.parts[number], self.batch_size, **options)

    def train_dataloader(self):
        return self.loader(0, shuffle=True, drop_last=True)

    def val_dataloader(self):
        return self.loader(1)

    def test_dataloader(self):
        return self.loader(2)


class Untested(Digits):
    """One whose test set was forgotten."""

    test_dataloader = L.LightningDataModule.test_dataloader
