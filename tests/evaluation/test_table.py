"""Benchmark tables: the packaged one, a user's own, and the made-up one."""

from random import Random

import numpy as np
import pytest

from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.synthetic import synthetic_table
from nas_lightning.evaluation.table_file import packaged, read_latencies, read_table
from nas_lightning.evaluation.tabular import TabularEvaluation
from nas_lightning.search_spaces.chain import ChainSpace
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space

SPACE = NasBench201Space()
LAST = "|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
ARCH = f"|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+{LAST}"
CHAIN = ChainSpace()
TINY = DartsSpace(nodes=1, ops=["none", "skip_connect", "max_pool_3x3"])


@pytest.fixture(scope="module")
def evaluation():
    return TabularEvaluation(SPACE, "cifar10")


def trial_of(text):
    return Trial(0, SPACE.read_text(text))


def test_the_packaged_table_knows_every_child_by_its_notation(evaluation):
    table, arch = evaluation.table, evaluation.table.columns["arch"]
    picked = [0, 1, 7777, 15624]
    assert [table.row(SPACE.read_text(arch[i].decode())) for i in picked] == picked
    assert len(table.rows) == SPACE.count()


def test_a_child_has_the_published_figures(evaluation):
    figures, cost = evaluation.evaluate(trial_of(ARCH), seed=0)
    assert figures["validation_accuracy"] == pytest.approx(0.63364)
    assert figures["train_time_s"] == pytest.approx(1444.2186 * 12 / 200)
    assert (figures["parameters"], figures["multiply_adds"]) == (129306, 15647370)
    assert set(cost.as_dict().values()) == {0}


def test_the_best_children_are_the_published_optima(evaluation):
    wanted = {"cifar10": 94.37, "cifar100": 73.51, "imagenet16_120": 47.31}
    found = {data: evaluation.table.column(f"{data}_test_200").max() for data in wanted}
    assert found == pytest.approx(wanted, abs=0.005)


def test_what_is_measured_is_what_the_evaluation_says(evaluation):
    figures, _ = evaluation.evaluate(trial_of(ARCH), seed=0)
    assert set(figures) == evaluation.measures()


def test_the_final_figures_are_those_of_the_longest_schedule(evaluation):
    final = evaluation.final(SPACE.read_text(ARCH), "cifar100")
    assert final == pytest.approx({"validation_accuracy": 0.527, "test_accuracy": 0.52913334})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"data": "svhn"},
            r"'nasbench201' has no data 'svhn'; choose from: evaluation\.data=cifar10, ev",
        ),
        ({"epochs": 50}, r"evaluation\.epochs \(50\) must be a schedule .* for cifar10: 12, 200"),
        (
            {"table": "nasbench101"},
            r"table 'nasbench101' must be a .*: nasbench201, nasbench201_la",
        ),
    ],
)
def test_a_table_that_cannot_serve_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        TabularEvaluation(SPACE, "cifar10", **values)


def test_a_space_that_the_table_does_not_fit_is_refused():
    with pytest.raises(
        ValueError,
        match=r"^table 'nasbench201' is of .* 'nasbench201', and this is 'darts'; ",
    ):
        TabularEvaluation(TINY, "cifar10")


def test_a_csv_table_has_a_column_a_decision(tmp_path):
    genotypes = list({TINY.sample(Random(i)) for i in range(40)})[:3]
    names = [decision.name for decision in TINY.decisions]
    lines = [",".join([*names, "leaves_val_5", "leaves_test_5", "leaves_train_seconds_5"])]
    for value, genotype in enumerate(genotypes, 50):
        options = [genotype.mapping.get(name, "") for name in names]
        lines.append(",".join([*options, str(value), str(value + 1), "100"]))
    path = tmp_path / "own.csv"
    path.write_text("\n".join(lines) + "\n")
    evaluation = TabularEvaluation(TINY, "leaves", table=str(path), epochs=5)
    figures, _ = evaluation.evaluate(Trial(0, genotypes[2]), seed=0)
    assert figures == {"validation_accuracy": 0.52, "train_time_s": 100.0}
    stranger = next(g for g in map(TINY.sample, map(Random, range(99))) if g not in genotypes)
    with pytest.raises(ValueError, match=rf"has 3 of the {TINY.count()} children .*{stranger.id}"):
        evaluation.evaluate(Trial(0, stranger), seed=0)


def own_npz(folder, **columns):
    defaults = {"own_val_9": [10.0, 20.0], "own_train_seconds_9": [3.0, 4.0]}
    np.savez(folder / "own.npz", **(defaults | columns))
    return str(folder / "own.npz")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, r"must have a column 'arch', or one for every decision .* lacks 'edge_0_1'"),
        ({"arch": [ARCH, "|x|"]}, r"own\.npz', row 2: NAS-Bench-201's notation is"),
        ({"arch": [ARCH, ARCH]}, r"row 1 is the same child as row 2; leave"),
        (
            {"ops": np.zeros((2, 6), int), "op_names": [b"conv9"]},
            r"has the operation 'conv9', sear",
        ),
        *(
            (
                {"ops": ops, "op_names": ["none"]},
                r"ops \(.*\) must be whole numbers \(rows, 6\), each",
            )
            for ops in (np.ones((2, 6), int), -np.ones((2, 6), int), np.zeros((2, 6)), 0, [[0]])
        ),
    ],
)
def test_rows_that_are_no_children_are_refused(tmp_path, columns, message):
    with pytest.raises(ValueError, match=message):
        read_table(own_npz(tmp_path, **columns), SPACE)


@pytest.mark.parametrize(
    ("name", "content"),
    [("own.npz", "no zip"), ("own.csv", ""), ("own.csv", "a,b\n1\n"), ("own.csv", '"a\n')],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"table '{path}' (cannot be read|must have a header)"):
        read_table(str(path), SPACE)


def test_a_table_without_training_times_is_refused(tmp_path):
    table = own_npz(
        tmp_path, arch=[ARCH, ARCH.replace("avg_pool_3x3", "none")], own_val_20=[10, 20]
    )
    evaluation = TabularEvaluation(SPACE, "own", table=table, epochs=20)
    seconds = evaluation.evaluate(trial_of(ARCH), 0)[0]["train_time_s"]
    assert seconds == pytest.approx(3.0 * 20 / 9)
    np.savez(tmp_path / "no_times.npz", arch=[ARCH], own_val_20=[10])
    with pytest.raises(ValueError, match="has no column 'own_train_seconds_20'"):
        TabularEvaluation(SPACE, "own", table=str(tmp_path / "no_times.npz"), epochs=20)


OTHER = ARCH.replace("avg_pool_3x3", "none")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"own_val_9": [10.0]},
            r"column 'own_val_9' \(1,\) must have a number for each of the 2 rows",
        ),
        ({"own_val_9": [[1.0], [2.0]]}, r"column 'own_val_9' \(2, 1\) must have a number for each"),
        (
            {"own_val_9": ["10", "good"]},
            r"row 2: own_val_9 \(good\) must be a number from 0 to 100",
        ),
        ({"own_val_9": [10, np.nan]}, r"row 2: own_val_9 \(nan\) must be a number from 0 to 100"),
        ({"own_val_9": [-1, 10]}, r"row 1: own_val_9 \(-1\) must be a number from 0 to 100"),
        ({"own_val_9": [100, 101]}, r"row 2: own_val_9 \(101\) must be a number from 0 to 100"),
        (
            {"own_val_9": [0.5, 0.9]},
            r"own_val_9 must be in per cent, and nothing in it is above 0.9",
        ),
        (
            {"own_train_seconds_9": [3, -1]},
            r"row 2: own_train_seconds_9 \(-1\) must be a number at l",
        ),
        (
            {"own_train_seconds_9": [np.inf, 1]},
            r"row 1: own_train_seconds_9 \(inf\) must be a numb",
        ),
        ({"own_params": [3, -1]}, r"row 2: own_params \(-1\) must be a number at least 0"),
    ],
)
def test_figures_that_are_none_are_refused_before_any_work(tmp_path, columns, message):
    table = own_npz(tmp_path, arch=[ARCH, OTHER], **columns)
    with pytest.raises(ValueError, match=message):
        TabularEvaluation(SPACE, "own", table=table, epochs=9)


def test_a_table_without_figures_is_refused(tmp_path):
    np.savez(tmp_path / "bare.npz", arch=[ARCH])
    with pytest.raises(ValueError, match=r"must have a column DATA_val_EPOCHS; it has: arch"):
        TabularEvaluation(SPACE, "own", table=str(tmp_path / "bare.npz"))


@pytest.mark.parametrize("names", [np.array(["none", "skip_connect"]), [b"none", b"skip_connect"]])
def test_operations_are_named_in_texts_or_bytes(tmp_path, names):
    ops = np.array([[0, 1, 0, 0, 1, 1], [1, 1, 1, 1, 1, 1]])
    table = read_table(own_npz(tmp_path, ops=ops, op_names=names), SPACE)
    assert table.row(SPACE.genotype({d.name: "skip_connect" for d in SPACE.decisions})) == 1


def test_options_that_look_like_numbers_stay_texts_in_a_spreadsheets_csv(tmp_path):
    genotypes = [CHAIN.sample(Random(seed)) for seed in range(3)]
    names = [decision.name for decision in CHAIN.decisions]
    rows = [[*(g.mapping.get(name, "") for name in names), "50", "9"] for g in genotypes]
    lines = [[*names, "own_val_9", "own_train_seconds_9"], *rows]
    path = tmp_path / "own.csv"
    path.write_text("\r\n".join(map(",".join, lines)), encoding="utf-8-sig")
    table = read_table(str(path), CHAIN)
    assert [table.row(genotype) for genotype in genotypes] == [0, 1, 2]


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(f"arch,own_val_9,own_val_9\n{ARCH},1,2\n")
    with pytest.raises(ValueError, match=r"has two columns 'own_val_9'; leave one of them out"):
        read_table(str(path), SPACE)


def test_a_packaged_table_names_its_space_and_the_key_of_another_table():
    with pytest.raises(ValueError, match=r"^table 'nasbench201' is of .*'nasbench201', and this"):
        read_table("nasbench201", TINY)
    with pytest.raises(ValueError, match=r"choose .*=nasbench201, or your own.*objective\.table=P"):
        read_latencies("nasbench201_latency", "1080ti_1", TINY)


def test_a_table_of_latencies_has_a_column_a_device(tmp_path):
    np.savez(tmp_path / "l.npz", arch=[ARCH], devices=["a", "b"], latency_ms=[[1.0], [2.0]])
    with pytest.raises(ValueError, match=r"latency_ms \(2, 1\) must be \(1, 2\), a row per child"):
        read_latencies(str(tmp_path / "l.npz"), "a", SPACE)


def test_the_synthetic_table_is_the_same_every_time_and_covers_conditional_spaces():
    first, again, other = (synthetic_table(TINY, seed) for seed in (0, 0, 1))
    column = "cifar10_test_200"
    assert np.array_equal(first.columns[column], again.columns[column])
    assert not np.array_equal(first.columns[column], other.columns[column])
    assert len(first.rows) == TINY.count()
    assert all(first.row(TINY.sample(Random(i))) >= 0 for i in range(20))


def test_a_short_schedule_of_the_synthetic_table_tells_of_the_long_one():
    columns = synthetic_table(SPACE).columns
    short, final = columns["cifar10_val_12"], columns["cifar10_test_200"]
    assert 0.9 < np.corrcoef(short, final)[0, 1] < 0.999
    assert final.max() <= 90


def test_a_synthetic_table_of_a_large_space_is_refused():
    with pytest.raises(ValueError, match=r"at most 100,000 genotypes; search space 'darts' has"):
        synthetic_table(DartsSpace())


def test_every_packaged_table_has_its_licence_beside_it():
    assert packaged() == ("nasbench201", "nasbench201_latency")
