"""Honest baselines on the same split: what a network has to beat."""

import warnings

import numpy as np

from nas_lightning.data.module import ImageDataModule

__all__ = ["logistic_regression_accuracy"]

MAX_IMAGES = 10_000


def logistic_regression_accuracy(data: ImageDataModule) -> float:
    """Returns the test accuracy of logistic regression on the normalised pixels.

    It learns from the whole training set, or from an even choice of 10,000 images where there
    are more.
    """
    from sklearn.linear_model import LogisticRegression

    images, labels = data.training_arrays()
    chosen = np.linspace(0, len(labels) - 1, min(len(labels), MAX_IMAGES)).astype(int)
    model = LogisticRegression(max_iter=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 300 steps suffice for a baseline, converged or not
        model.fit(images[chosen].reshape(len(chosen), -1), labels[chosen])
    test_images, test_labels = data.test_arrays()
    return float(model.score(test_images.reshape(len(test_labels), -1), test_labels))
