import pytest

from nas_lightning.core.scale import Scale


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"channels": 1}, r"scale.channels \(1\) must be at least 2; use e.g. 16"),
        ({"cells": 2}, r"scale.cells \(2\) must be at least 3; use e.g. 5"),
        ({"stem": "big"}, "unknown scale.stem 'big'; choose from: cifar, imagenet"),
        ({"flavour": "sweet"}, "unknown scale.flavour 'sweet'; choose from: search, child"),
        ({"batch_norm": "none"}, "unknown scale.batch_norm 'none'; choose from: batch, fixed"),
    ],
)
def test_impossible_values_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Scale(**values)


@pytest.mark.parametrize("shape", [None, (8, 8), (3, 0, 8), (1, 3, 8, 8)])
def test_what_is_no_image_shape_is_refused_where_it_is_needed(shape):
    with pytest.raises(ValueError, match=r"scale.input_shape \(.*\) must be \(channels, height"):
        Scale(input_shape=shape).image()


@pytest.mark.parametrize("number", [None, 0])
def test_a_number_of_outputs_is_refused_where_it_is_needed(number):
    with pytest.raises(ValueError, match=rf"scale.num_outputs \({number}\) must be at least 1"):
        Scale(num_outputs=number).outputs()


def test_sizes_that_the_data_gave_are_returned():
    scale = Scale(input_shape=[1, 8, 9], num_outputs=10)
    assert (scale.image(), scale.outputs()) == ((1, 8, 9), 10)


def test_a_scale_of_data_changes_nothing_else():
    wanted = Scale(6, 4, partial=2, input_shape=(1, 8, 9), num_outputs=10)
    assert Scale(6, 4, partial=2).of_data([1, 8, 9], 10) == wanted
