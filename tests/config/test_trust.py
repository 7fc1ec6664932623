"""What another minor version has written is refused."""

import pytest

from nas_lightning.config import trust


@pytest.fixture(autouse=True)
def this(monkeypatch):
    monkeypatch.setattr(trust, "__version__", "0.2.5")


@pytest.mark.parametrize("version", ["0.2.0", "0.2.5", "0.2.9rc1"])
def test_the_same_minor_version_is_accepted(version):
    trust.check_version(version, "the run")


@pytest.mark.parametrize("version", ["0.3.0", "1.2.5", "0.20.5"])
def test_another_minor_version_is_refused_with_both_and_the_cure(version):
    minor = version.rpartition(".")[0]
    message = (
        rf"the run is of nas_lightning {version}, and this is 0\.2\.5: train again, or install the "
        rf"version that wrote it: pip install 'nas-lightning=={minor}\.\*'"
    )
    with pytest.raises(ValueError, match=message):
        trust.check_version(version, "the run")


def test_no_version_is_the_one_before_versions_were_written():
    with pytest.raises(ValueError, match=r"the run is of nas_lightning 0\.1, and this is 0\.2\.5"):
        trust.check_version(None, "the run")


SCALE = "nas_lightning.core.scale.Scale"
HOSTILE = {"_target_": "os.system", "command": "touch hit"}


@pytest.mark.parametrize(
    "part",
    [
        {"ops": HOSTILE},
        {"scale": {"_target_": SCALE, "channels": HOSTILE}},
        {"scale": {"channels": {"deep": [HOSTILE]}}},
        {"network": {"inner": HOSTILE}},
        {"ops": [{"_target_": "os.system"}]},
    ],
)
def test_a_space_of_a_file_that_would_call_something_at_any_depth_is_refused(part):
    with pytest.raises(
        ValueError, match=r"the file: search_space\.\w+ names 'os\.system'; a space"
    ):
        trust.trusted_space({"_target_": "a.Space", **part}, "the file")


def test_a_space_of_a_file_with_a_scale_and_plain_data_is_taken():
    node = {"_target_": "a.Space", "scale": {"_target_": SCALE, "channels": 8}, "ops": ["a", "b"]}
    assert trust.trusted_space(node, "the file") is node
