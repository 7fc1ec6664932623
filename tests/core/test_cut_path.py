import pytest
import torch
from planted_problem.spaces import PlantedCells

from nas_lightning.core.cut_path import cuts_every_path
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space

DARTS = DartsSpace(nodes=2, min_edges=0)
EMPTY = {f"{kind}/node_{n}/inputs": "nothing" for kind in ("normal", "reduction") for n in (2, 3)}
NORMAL = {"normal/node_2/inputs": "0", "normal/edge_0_2": "skip_connect"}
REDUCTION = {"reduction/node_3/inputs": "1", "reduction/edge_1_3": "skip_connect"}
ISLAND = {"normal/node_3/inputs": "2", "normal/edge_2_3": "skip_connect"}


@pytest.mark.parametrize(
    ("chosen", "is_cut"),
    [
        (EMPTY, True),
        (EMPTY | NORMAL, True),  # the reduction cells cut it
        (EMPTY | REDUCTION, True),
        (EMPTY | REDUCTION | ISLAND, True),  # an edge from an empty node
        (EMPTY | NORMAL | REDUCTION, False),
    ],
)
def test_a_child_without_a_path_gives_every_image_the_same_answer(chosen, is_cut):
    genotype = DARTS.genotype(chosen)
    assert cuts_every_path(DARTS, genotype) == is_cut
    torch.manual_seed(0)
    child = DARTS.child(genotype, Scale(4, 4, input_shape=(3, 8, 8), num_outputs=3))
    logits = child(torch.randn(5, 3, 8, 8))
    assert logits.isfinite().all()
    assert torch.equal(logits, logits[:1].expand(5, 3)) == is_cut


def test_edges_that_end_in_an_empty_node_do_not_make_a_path():
    space = NasBench201Space()
    chosen = dict.fromkeys(space.rows, "none") | {"edge_0_1": "skip_connect"}
    assert cuts_every_path(space, space.genotype(chosen))
    assert not cuts_every_path(space, space.genotype(chosen | {"edge_1_3": "nor_conv_1x1"}))


def test_a_space_whose_edges_always_stay_has_a_path():
    assert not cuts_every_path(PlantedCells(), PlantedCells().sample(0))
