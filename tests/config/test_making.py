"""Objects are made from configuration, and every mistake in it is named by its full key."""

from functools import partial

import leaves
import pytest
from omegaconf import OmegaConf

from nas_lightning.config.making import make, make_all

INNER = {"_target_": "leaves.Inner", "size": 2}


def leaf(**values):
    """Returns a Leaf made from a configuration of these values."""
    return make(OmegaConf.create({"_target_": "leaves.Leaf", **values}), "part")


@pytest.mark.parametrize(
    ("key", "given", "made"),
    [
        ("epochs", 7, 7),
        ("rate", 1, 1.0),
        ("rate", "1e-3", 0.001),
        ("limit", None, None),
        ("limit", 4, 4),
        ("inner", None, None),
        ("inner", INNER, leaves.Inner(2)),
        ("shape", [3, 8, 8], (3, 8, 8)),
        ("table", {"a": 1}, {"a": 1.0}),
        ("epochs", "${.limit}", 5),
    ],
)
def test_a_value_arrives_in_its_arguments_type(key, given, made):
    values = {"limit": 5} if given == "${.limit}" else {}
    found = getattr(leaf(**values, **{key: given}), key)
    assert found == made
    assert type(found) is type(made)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": "abc"}, r"part\.epochs \('abc'\) has the wrong type: Value 'abc'"),
        (
            {"epochs": 2.5},
            r"part\.epochs \(2\.5\) .* Value '2\.5' .*; give a whole number, e\.g\. 1$",
        ),
        ({"epochs": True}, r"part\.epochs \(True\) has the wrong type: Value 'True'"),
        ({"epochs": ""}, r"part\.epochs \(''\) has the wrong type"),
        ({"epochs": None}, r"part\.epochs \(None\) has the wrong type: .* type 'int'"),
        ({"epochs": "???"}, r"part\.epochs is missing; give part\.epochs=\.\.\."),
        ({"epochs": "${nothing}"}, r"part: Interpolation key 'nothing' not found"),
        ({"flag": "maybe"}, r"part\.flag \('maybe'\) has the wrong type"),
        ({"name": None}, r"part\.name \(None\) has the wrong type"),
        ({"shape": [1, "b"]}, r"part\.shape \(\[1, 'b'\]\) has the wrong type: Value 'b'"),
        ({"shape": 3}, r"part\.shape \(3\) has the wrong type"),
        ({"table": {"a": "z"}}, r"part\.table \(\{'a': 'z'\}\) has the wrong type: Value 'z'"),
        ({"inner": 5}, r"part\.inner \(5\) has the wrong type: .* not a subclass of Inner"),
        ({"inner": {**INNER, "size": "x"}}, r"part\.inner\.size \('x'\) has the wrong type"),
        ({"inner": {**INNER, "colour": 1}}, r"unknown key 'part\.inner\.colour'.*: size$"),
        ({"epoch": 1}, r"unknown key 'part\.epoch'; choose from: epochs, rate, flag"),
        ({"_target_": "leaves.No"}, r"part\._target_ 'leaves\.No' cannot be imported"),
        (
            {"_target_": "no_such.No"},
            r"part\._target_ .* No module named 'no_such'; put no_such\.py into /.+, or inst",
        ),
        ({"ops": "skip"}, r"part\.ops \('skip'\) must be a list; write e\.g\. part\.ops=\[skip\]"),
        ({"ops": 3}, r"part\.ops \(3\) must be a list"),
        ({"source": 3}, r"part\.source \(3\) must be a group of keys with _target_"),
        ({"_target_": "builtins.int"}, r"part\._target_ must be a class or function: no signature"),
        ({"_target_": 3}, r"part\._target_ \(3\) must be the path of a class or function"),
        ({"_target_": "leaves.__doc__"}, r"part\._target_ .* must be a class or function"),
    ],
)
def test_a_mistake_is_named_by_its_full_key(values, message):
    with pytest.raises(ValueError, match=message):
        leaf(**values)


def test_what_cannot_be_imported_is_told_once(caplog):
    with pytest.raises(ValueError, match="No module named 'no_such'"):
        leaf(_target_="no_such.No")
    assert caplog.text == ""


def test_a_node_must_be_a_group_of_keys():
    with pytest.raises(ValueError, match=r"part \(3\) must be a group of keys with a _target_"):
        make(3, "part")


def test_a_target_must_be_of_the_kind_that_is_wanted():
    with pytest.raises(ValueError, match=r"^part\._target_ must be a Strategy, got .*Inner"):
        make(INNER, "part", kind=leaves.Strategy)


def test_a_target_without_arguments_has_no_keys():
    with pytest.raises(ValueError, match=r"'part\.x'; choose from: \(there are none\)$"):
        make({"_target_": "leaves.Empty", "x": 1}, "part")


def test_runtime_arguments_pass_untouched_and_are_no_keys():
    space = leaves.Inner(4)
    node = {"_target_": "leaves.Strategy", "epochs": 2}
    strategy = make(node, "strategy", space=space, seed=1)
    assert strategy.space is space
    assert (strategy.seed, strategy.epochs) == (1, 2)
    with pytest.raises(ValueError, match=r"unknown key 'strategy\.x'; choose from: epochs$"):
        make({**node, "x": 1}, "strategy", space=space, seed=1)


def test_an_argument_that_nobody_gives_is_missing():
    with pytest.raises(ValueError, match=r"strategy\.seed is missing; give strategy\.seed="):
        make({"_target_": "leaves.Strategy"}, "strategy", space=None)


def test_what_a_constructor_refuses_comes_out_as_it_is():
    with pytest.raises(ValueError, match=r"^strategy\.epochs \(0\) must be at least 1"):
        make({"_target_": "leaves.Strategy", "epochs": 0}, "strategy", space=None, seed=0)


def test_a_partial_node_takes_the_rest_later():
    node = {"_target_": "leaves.Strategy", "_partial_": True, "epochs": 3}
    made = make(node, "strategy", seed=1)
    assert isinstance(made, partial)
    assert made(space=None).epochs == 3


def test_the_nodes_of_a_group_are_made_in_order_and_null_is_left_out():
    nodes = OmegaConf.create({"a": INNER, "b": None, "c": {**INNER, "size": 3}})
    assert make_all(nodes, "callbacks") == [leaves.Inner(2), leaves.Inner(3)]


def test_a_mistake_in_a_group_is_named_by_its_full_key():
    with pytest.raises(ValueError, match=r"unknown key 'callbacks\.a\.colour'"):
        make_all({"a": {**INNER, "colour": 1}}, "callbacks")
