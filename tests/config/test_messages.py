"""How errors are worded."""

import pytest

import nas_lightning as nl
from nas_lightning.config.messages import message_of


def test_a_type_error_of_other_code_names_itself_and_the_way_to_its_place():
    with pytest.raises(TypeError) as caught:
        len(3)
    text = "TypeError: object of type 'int' has no len() (HYDRA_FULL_ERROR=1 shows where)"
    assert message_of(caught.value) == text


def test_a_type_error_of_ours_is_a_message_of_its_own():
    with pytest.raises(TypeError) as caught:
        nl.search(dat="digits")
    assert message_of(caught.value).startswith("unknown argument 'dat'; choose from: ")
