"""The trained child of a run is loaded to be used."""

import shutil

import pytest
import torch
from command import result
from PIL import Image

import nas_lightning
from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.sources import digits

DIGITS = tuple("0123456789")


@pytest.fixture(scope="module")
def child(finished):
    return nas_lightning.load_child(finished)


@pytest.fixture(scope="module")
def test_set():
    """The test images as they are (N, C, H, W), uint8, and their labels (N,)."""
    arrays = digits()
    images = arrays.test.read(torch.arange(len(arrays.test)))
    return images, arrays.test_labels


def test_a_child_is_ready_to_use(child, finished):
    assert not child.training
    assert child.class_names == DIGITS
    assert child.genotype.id == result(finished)["genotype_id"]
    assert child.preprocessing["image_size"] == [8, 8]


def accuracy(child, images, labels):
    with torch.inference_mode():
        guesses = child(images).argmax(dim=1)
    return float((guesses == labels).float().mean())


def test_a_child_has_the_tested_accuracy(child, finished):
    images, labels = map(torch.from_numpy, ImageDataModule(digits, seed=0).test_arrays())
    wanted = result(finished)["child"]["test_accuracy"]
    assert accuracy(child, images, labels) == pytest.approx(wanted, abs=1e-6)  # float32's mean


def test_the_best_epoch_is_loaded_where_one_was_kept(trained):
    child = nas_lightning.load_child(trained)
    images, labels = map(torch.from_numpy, ImageDataModule(digits, seed=0).test_arrays())
    wanted = result(trained)["child"]["test_accuracy"]
    assert accuracy(child, images, labels) == pytest.approx(wanted, abs=1e-6)
    assert (trained / "child" / "best.ckpt").is_file()


def test_image_files_are_classified_as_the_images_they_hold(child, tmp_path):
    arrays = ImageDataModule(digits, seed=0)
    images, _ = arrays.test_arrays()
    mean, std = arrays.preprocessing["mean"][0], arrays.preprocessing["std"][0]
    paths = []
    for index in range(5):
        pixels = ((images[index, 0] * std + mean) * 255).round().astype("uint8")
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(pixels).save(paths[-1])
    wanted = child(torch.from_numpy(images[:5])).argmax(dim=1).tolist()
    assert child.classify(*paths) == [DIGITS[label] for label in wanted]


def test_an_image_of_another_size_and_mode_is_brought_to_the_childs(child, tmp_path):
    Image.new("RGBA", (31, 20), (200, 10, 10, 255)).save(tmp_path / "image.png")
    assert child.preprocess(tmp_path / "image.png").shape == (1, 1, 8, 8)


def test_no_image_and_an_unreadable_one_are_refused(child, tmp_path):
    with pytest.raises(ValueError, match=r"need at least one input, got none"):
        child.classify()
    (tmp_path / "no.png").write_text("no image")
    with pytest.raises(ValueError, match=rf"cannot read the image '{tmp_path}/no\.png'"):
        child.classify(tmp_path / "no.png")


def test_files_images_and_arrays_of_the_same_pixels_have_the_same_answers(
    child, test_set, tmp_path
):
    pixels = test_set[0][:3]
    images = [Image.fromarray(image[0].numpy()) for image in pixels]
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path, image in zip(paths, images, strict=True):
        image.save(path)
    answers = child.predict(pixels)
    assert child.predict(*paths) == child.predict(images) == child.predict(pixels.numpy())
    assert child.predict([paths[0], images[1:2]], pixels[2, 0]) == answers
    assert child.classify(pixels) == [max(answer, key=answer.get) for answer in answers]


def test_an_answer_does_not_depend_on_how_many_inputs_there_are(child, test_set, monkeypatch):
    monkeypatch.setattr("nas_lightning.deployment.load.BATCH_SIZE", 100)
    pixels, labels = test_set
    names = child.classify(pixels)
    assert len(names) == len(labels)
    assert names[:5] == child.classify(pixels[:5])


def test_a_child_of_another_minor_version_is_refused(changed):
    folder = changed(lambda card: card.update(version="99.1.0"))
    message = rf"the child in '{folder}' is of nas_lightning 99\.1\.0, and this is .*: train again"
    with pytest.raises(ValueError, match=message):
        nas_lightning.load_child(folder)


def test_a_folder_without_a_child_is_refused(tmp_path):
    with pytest.raises(ValueError, match=rf"'{tmp_path}' holds no trained child \(no child/last"):
        nas_lightning.load_child(tmp_path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", r"\(there is no such folder\); give the folder of a finished run"),
        ("sweep/note.txt", r"\(it is a file\); give the folder of a finished run"),
        ("sweep", r"\(it is the folder of a sweep\); give one of its runs, e\.g\. 'sweep/0'"),
        ("empty sweep", r"\(it is the folder of a sweep\); resume it: resume='empty sweep'"),
        ("sweep/0/child", r"\(it lies in that of a run\); give the run's: 'sweep/0'"),
        ("sweep/1", r"\(no child/last\.ckpt\); .* or train what was found: nas-train genotype=swe"),
    ],
)
def test_each_path_without_a_child_has_its_own_cure(path, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        *("sweep/0/child/last.ckpt", "sweep/1/.hydra/config.yaml", "sweep/note.txt"),
        *("sweep/multirun.yaml", "empty sweep/multirun.yaml"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=f"^'{path}' holds no trained child {message}"):
        nas_lightning.load_child(path)


@pytest.fixture
def changed(finished, tmp_path):
    """Copies the finished run's child with a changed card."""

    def changed(change):
        shutil.copytree(finished / "child", tmp_path / "child")
        content = torch.load(tmp_path / "child" / "last.ckpt", weights_only=True)
        change(content["child"])
        torch.save(content, tmp_path / "child" / "last.ckpt")
        return tmp_path

    return changed


def test_a_checkpoint_that_names_anything_but_a_space_is_refused(changed):
    folder = changed(lambda card: card["space"].update({"_target_": "os.system", "command": "x"}))
    with pytest.raises(ValueError, match=r"is not nas_lightning's own: search_space\._target_=os"):
        nas_lightning.load_child(folder)


def test_a_checkpoint_whose_space_holds_another_part_is_refused(changed):
    hostile = {"_target_": "os.system", "command": "touch hit"}
    folder = changed(lambda card: card["space"].update({"ops": hostile}))
    with pytest.raises(ValueError, match=r"'s own: search_space\.ops\._target_=os\.system; it is"):
        nas_lightning.load_child(folder)


def test_a_truncated_child_is_refused(changed):
    folder = changed(lambda card: None)
    path = folder / "child" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=rf"checkpoint {path} cannot be read \(truncated\?\)"):
        nas_lightning.load_child(folder)
