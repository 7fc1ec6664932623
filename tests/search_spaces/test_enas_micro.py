from random import Random

import pytest
from omegaconf import OmegaConf

from nas_lightning.config.paths import config_dir
from nas_lightning.core.search_space import child_cost
from nas_lightning.search_spaces.enas_micro import EnasMicroSpace
from nas_lightning.zoo.reader import read_genotype

SPACE = EnasMicroSpace()
NORMAL = "0 2 0 0 0 4 0 1 0 4 1 1 1 0 0 1 0 2 1 1"
REDUCTION = "1 0 1 0 0 3 0 2 1 1 3 1 1 0 0 4 0 3 1 1"


def official_params(channels, layers):
    """Params of the official code's final network, counted from what it does layer by layer."""
    total = 27 * 3 * channels + 2 * 3 * channels
    before = last = (3 * channels, 1)  # channels and place of the two previous outputs
    for layer in range(layers + 2):
        is_reduction = layer in (layers // 3, 2 * (layers // 3) + 1)
        channels *= 1 + is_reduction
        arc = [int(word) for word in (REDUCTION if is_reduction else NORMAL).split()]
        ops = list(zip(arc[::2], arc[1::2], strict=True))
        norm = 2 * channels
        total += (before[0] + last[0] + channels) * channels + 3 * norm  # both inputs, the base
        for kernel in [(3, 5)[op] for _, op in ops if op < 2]:
            total += 2 * ((kernel**2 + channels) * channels + norm)
        halved = sum(op == 4 and source < 2 for source, op in ops) * is_reduction
        total += halved * (channels**2 + norm)
        unread = 7 - len({source for source, _ in ops})
        before, last = last, (unread * channels, layer)
    return total + 10 * last[0]


def test_the_papers_cell_has_the_params_of_the_official_final_network_and_a_bias():
    genotype = read_genotype("enas_micro", SPACE)
    found = child_cost(SPACE, genotype, SPACE.published_scale())["parameters"]
    assert official_params(36, 15) == 3_894_372
    assert found == 3_894_372 + 10


def test_the_recipes_cells_are_those_of_the_official_code_and_two_reductions():
    recipe = OmegaConf.load(config_dir() / "experiment" / "enas_micro_cifar.yaml")
    assert recipe.search_space.scale.cells == 6 + 2
    assert recipe.child.scale.cells == SPACE.published_scale().cells == 15 + 2


def test_arcs_read_to_the_zoos_genotype():
    assert SPACE.read_text(f"{NORMAL} | {REDUCTION}") == read_genotype("enas_micro", SPACE)
    assert SPACE.read_text(f"0 0 0 2{NORMAL[7:]}|{REDUCTION}").id == "2ee0129a51e0"  # x, y swapped


def test_arcs_that_are_written_are_read_again():
    for genotype in (SPACE.sample(Random(seed)) for seed in range(20)):
        assert SPACE.read_text(SPACE.write_text(genotype)) == genotype


def test_a_node_of_equal_inputs_tells_x_and_y_apart_by_their_operations_alone():
    genotype = EnasMicroSpace(blocks=1).read_text("1 3 1 0 | 0 4 1 2")
    assert genotype.mapping == {
        "normal/block_2/inputs": "1+1",
        "normal/block_2/ops": "sep_conv_3x3+max_pool_3x3",
        "reduction/block_2/inputs": "0+1",
        "reduction/block_2/op_1": "skip_connect",
        "reduction/block_2/op_2": "avg_pool_3x3",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (NORMAL, r"^ENAS's notation is two arcs with a bar between, got 1$"),
        (
            f"{NORMAL} 1 | {REDUCTION}",
            r"^the normal arc of 5 nodes has 20 numbers, got 21 words: 0 2",
        ),
        (f"{NORMAL} | x{REDUCTION[1:]}", r"^the reduction arc of 5 nodes has 20 .*: x 0 1 0"),
        (f"0 5{NORMAL[3:]} | {REDUCTION}", r"^operation 5 of the normal arc must be below 5$"),
        (f"2 2{NORMAL[3:]} | {REDUCTION}", r"^normal/block_2 must read states from 0 to 1, got 2$"),
    ],
)
def test_a_text_that_is_no_arc_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        SPACE.read_text(text)
