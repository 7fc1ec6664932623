"""A child is published as a folder that the Hub and load_child read."""

import json

import pytest
import torch
import yaml
from command import result

import nas_lightning as nl
from nas_lightning.deployment import push_to_hub as module


@pytest.fixture
def images():
    return torch.randint(0, 256, (3, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()


@pytest.fixture(autouse=True)
def hub(monkeypatch):
    """Stands for the Hub: keeps the calls in its order."""
    calls = []

    class Hub:
        def create_repo(self, repo_id, **options):
            calls.append(("create", repo_id, options))

        def upload_folder(self, *, repo_id, folder_path):
            calls.append(("upload", repo_id, sorted(p.name for p in folder_path.iterdir())))

    monkeypatch.setattr(module, "HfApi", Hub)
    return calls


def front_matter(folder):
    return yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])


def test_a_published_folder_is_the_child(finished, tmp_path, images, hub):
    folder = nl.push_to_hub(finished, folder=tmp_path / "new", license_id="apache-2.0")
    files = sorted(path.name for path in folder.iterdir())
    assert files == ["README.md", "config.json", "model.safetensors"]
    assert nl.load_child(folder).predict(images) == nl.load_child(finished).predict(images)
    config = json.loads((folder / "config.json").read_text())
    assert config["genotype"]["id"] == result(finished)["genotype_id"]
    assert {"space", "scale", "class_names", "preprocessing", "task", "version"} <= set(config)
    assert hub == []


def test_the_model_card_tells_figures_data_license_and_how_to_load(finished, tmp_path):
    folder = nl.push_to_hub(finished, folder=tmp_path, license_id="apache-2.0")
    head, text = front_matter(folder), (folder / "README.md").read_text()
    (tested,) = head["model-index"][0]["results"]
    accuracy = result(finished)["child"]["test_accuracy"]
    assert {"name": "accuracy", "type": "accuracy", "value": accuracy} in tested["metrics"]
    assert tested["dataset"]["name"] == "digits"
    assert (head["license"], head["pipeline_tag"]) == ("apache-2.0", "image-classification")
    assert f"| test_accuracy | {accuracy} |" in text
    assert "child = nl.load_child(folder)" in text


def test_a_license_is_left_open_where_none_is_given(finished, tmp_path):
    folder = nl.push_to_hub(finished, folder=tmp_path)
    assert "license" not in front_matter(folder)
    assert "not stated by the author" in (folder / "README.md").read_text()


def test_it_is_uploaded_only_where_it_is_asked(finished, tmp_path, hub):
    folder = nl.push_to_hub(finished, "me/digits", tmp_path, private=True)
    files = ["README.md", "config.json", "model.safetensors"]
    assert hub == [
        ("create", "me/digits", {"private": True, "exist_ok": True}),
        ("upload", "me/digits", files),
    ]
    assert 'snapshot_download("me/digits")' in (folder / "README.md").read_text()


def test_a_child_with_another_head_is_published_without_figures(finished, tmp_path):
    child = nl.load_child(finished).with_head(["oak", "elm"])
    folder = nl.push_to_hub(child, folder=tmp_path)
    assert "model-index" not in front_matter(folder)
    assert nl.load_child(folder).class_names == ("oak", "elm")


def test_a_child_without_a_folder_is_refused(finished):
    with pytest.raises(ValueError, match=r"needs a folder .*; give folder=\.\.\."):
        nl.push_to_hub(nl.load_child(finished))
