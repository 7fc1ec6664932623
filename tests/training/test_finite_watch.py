"""Where a training first met NaN or an infinite number."""

import pytest
import torch

from nas_lightning.training.finite_watch import FiniteWatch, check_finite

NAN, INF = float("nan"), float("inf")


def watch_of(**steps):
    """A watch that has seen these values, one per step and name."""
    watch = FiniteWatch()
    watch.start_epoch()
    for values in zip(*steps.values(), strict=True):
        watch.start_step({})
        for name, value in zip(steps, values, strict=True):
            watch.note(name, torch.tensor(value))
    return watch


def test_the_first_bad_step_and_the_value_before_it_are_told():
    watch = watch_of(loss=[1.0, 2.5, NAN, 3.0, INF])
    message = r"^loss became nan in step 2 of epoch 7 \(the last good one: 2.5\); lower it$"
    with pytest.raises(FloatingPointError, match=message):
        watch.check(7, {"loss": "lower it"})


def test_of_two_that_are_bad_in_one_step_the_earlier_one_is_the_cause():
    watch = watch_of(images=[1.0, INF], loss=[1.0, NAN])
    with pytest.raises(FloatingPointError, match=r"^images became inf in step 1"):
        watch.check(0, {"images": "look at them", "loss": "lower it"})


def test_a_later_cause_does_not_hide_an_earlier_one():
    watch = watch_of(images=[1.0, INF], loss=[NAN, NAN])
    with pytest.raises(FloatingPointError, match=r"^loss became nan in step 0 of epoch 0; lower"):
        watch.check(0, {"images": "look at them", "loss": "lower it"})


def test_good_numbers_and_a_new_epoch_are_let_pass():
    watch = watch_of(loss=[1.0, NAN])
    watch.start_epoch()
    watch.check(0, {"loss": "lower it"})
    watch_of(loss=[1.0, 2.0]).check(0, {"loss": "lower it"})


def test_a_param_that_the_last_step_spoilt_is_named():
    named = {"a": torch.ones(2), "b": torch.tensor([1.0, NAN]), "c": torch.tensor([INF])}
    message = r"^2 of 3 params became infinite or nan in the last step of epoch 4, the first of "
    with pytest.raises(FloatingPointError, match=message + "them b; lower it$"):
        check_finite("params", named, 4, "lower it")
