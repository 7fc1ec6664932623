"""Networks of users that cannot run are refused in words, before a search."""

from functools import partial

import pytest
from torch import nn

from nas_lightning.core.scale import Scale
from nas_lightning.networks.markers import OneOf, Optional, Repeat
from nas_lightning.search_spaces.custom import CustomSpace


def activation():
    return OneOf("act", {"relu": nn.ReLU(), "tanh": nn.Tanh()})


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = activation()

    def forward(self, x):
        return self.act(x) if x.sum() > 0 else x


UNFIT = {
    "an output too narrow": (
        lambda num_outputs: nn.Sequential(activation(), nn.Flatten(), nn.Linear(48, 7)),
        r"must give num_outputs \(2\) numbers for each sample, shape \[1, 2\], got \[1, 7\]; e",
    ),
    "an output of rows": (
        lambda num_outputs: nn.Sequential(activation(), nn.Linear(8, num_outputs)),
        r"got \[1, 6, 2\]",
    ),
    "no tensor": (
        lambda num_outputs: nn.Sequential(activation(), nn.LSTM(8, 2)), r"got tuple; end"),
    "a head too wide": (
        lambda num_outputs: nn.Sequential(activation(), nn.Flatten(), nn.Linear(50, num_outputs)),
        r"cannot take its input .* \[1, 6, 8\]: '2' \(Linear\(in_features=50, .*got \[1, 48\]",
    ),
    "an option that cannot run": (
        lambda: OneOf("a", {"x": nn.ReLU(), "y": nn.Sequential(nn.ReLU(), nn.Conv1d(4, 6, 3))}),
        r"option 'y' of choice 'a' cannot .*\[1, 6, 8\]: '1' \(Conv1d\(4, 6.* got \[1, 6, 8\]",
    ),
    "an option that gives another shape": (
        lambda: nn.Sequential(Optional("a", nn.Linear(8, 3)), nn.Flatten(), nn.LazyLinear(2)),
        r"options of choice 'a' must give one shape, got no: \[1, 6, 8\], yes: \[1, 6, 3\]",
    ),
    "a repetition that cannot follow itself": (
        lambda: Repeat("a", nn.Linear(8, 9), [1, 2]),
        r"option '2' of choice 'a' cannot take .* of shape \[1, 6, 9\]: Linear\(in_features=8",
    ),
    "a branch on values": (Branching, r"cannot be called on meta .*do not branch on their values"),
    "an argument that it is not given": (
        lambda num_classes: activation(),
        r"needs an argument 'num_classes', but is given input_shape, num_outputs, channels, cells",
    ),
    "a size that it cannot be built in": (
        lambda channels: nn.Sequential(activation(), nn.MultiheadAttention(channels, 3)),
        r"cannot be built with channels=16: embed_dim must be divisible by num_heads",
    ),
    "no module": (lambda num_outputs: "net", r"must build a torch.nn.Module, got str"),
}  # fmt: skip


@pytest.mark.parametrize("fault", UNFIT)
def test_a_network_that_does_not_fit_is_refused_in_words_before_a_search(fault):
    network, message = UNFIT[fault]
    with pytest.raises(ValueError, match=message):
        CustomSpace(network).fitted(Scale(16, input_shape=(6, 8), num_outputs=2))


def test_an_argument_may_have_a_default_or_be_bound():
    def net(width, num_outputs, *more, depth=1, **others):
        return nn.Sequential(
            activation(), nn.Flatten(), nn.Linear(8, width), nn.Linear(width, num_outputs)
        )

    scale = Scale(input_shape=(8,), num_outputs=2)
    assert CustomSpace(partial(net, width=3)).fitted(scale).count() == 2
