"""Image files in one folder per class, perhaps within train/, val/ and test/."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nas_lightning.data.formats.parquet import SPLITS
from nas_lightning.data.image_files import file_images
from nas_lightning.data.raw_split import RawSplit, ReadOptions

__all__ = ["find_images", "read_image_folder"]

SUFFIXES = (".png", ".jpg", ".jpeg")

ImagePaths = Mapping[str, Sequence[Path]]


def read_image_folder(path: str | None, options: ReadOptions) -> RawSplit:
    """Returns the images by class, named after their folders and sorted by name."""
    train, test = find_images(path)
    names = sorted(train)
    files, labels = _labelled(train, names)
    test_files, test_labels = (None, None) if test is None else _labelled(test, names)
    images, test_images = file_images(files, test_files, options.image_size, options.channels)
    return RawSplit(images, labels, test_images, test_labels, names)


def find_images(path: str | None) -> tuple[ImagePaths, ImagePaths | None]:
    """Returns the training and the test images by class; the latter may be None.

    A validation part joins the training images, or is the test part where there is none. Raises
    ValueError if the folder is missing or unlike this, or a test class has no training images.
    """
    if path is None:
        raise ValueError("data=folder needs a folder, got data.path=null; add data.path=DIR")
    root = Path(path).expanduser()
    if not root.is_dir():
        state = "is a file" if root.exists() else "does not exist"
        raise ValueError(f"data.path must be a folder of images, but '{path}' {state}; correct it")
    parts = {part.name: part for part in _folders(root)}
    if "train" not in parts or not _folders(parts["train"]):
        return _by_class(root), None
    held_out = [name for name in parts if SPLITS.get(name) == "validation"][:1]
    if others := sorted(set(parts) - {"train", "test", *held_out}):
        raise ValueError(
            f"beside 'train' in '{path}' only 'test' and one validation part, e.g. 'val', may"
            f" stand, got '{others[0]}'; move its images, or the folder out of '{path}'"
        )
    train = _by_class(parts["train"])
    if held_out and "test" in parts:
        train = _joined(train, _by_class(parts[held_out.pop()]))
    tested = "test" if "test" in parts else next(iter(held_out), None)
    if tested is None:
        return train, None
    test = _by_class(parts[tested])
    if unknown := sorted(set(test) - set(train)):
        raise ValueError(
            f"every test class needs training images; '{parts[tested] / unknown[0]}' has none in"
            f" '{parts['train']}'; known classes: {', '.join(sorted(train))}"
        )
    return train, test


def _labelled(images: ImagePaths, names: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Returns the files in the order of the classes, and the class of each."""
    files = [file for name in names for file in images.get(name, ())]
    return files, [name for name in names for _ in images.get(name, ())]


def _joined(first: ImagePaths, second: ImagePaths) -> ImagePaths:
    names = dict.fromkeys([*first, *second])
    return {name: [*first.get(name, ()), *second.get(name, ())] for name in names}


def _by_class(root: Path) -> ImagePaths:
    if not any(root.iterdir()):
        raise ValueError(
            f"a folder of images must hold one sub-folder per class, but '{root}' is empty; fill it"
        )
    classes = _folders(root)
    if not classes:
        raise ValueError(
            f"a folder of images must hold one sub-folder per class, but '{root}' holds only files;"
            " move the images of each class into a sub-folder of its name"
        )
    images = {folder.name: _images(folder) for folder in classes}
    if not any(images.values()):
        raise ValueError(
            f"no PNG or JPEG image in the {len(classes)} sub-folders of '{root}'; add some, named"
            f" {', '.join('*' + suffix for suffix in SUFFIXES)}"
        )
    return images


def _folders(root: Path) -> list[Path]:
    return sorted(each for each in root.iterdir() if each.is_dir() and each.name[0] != ".")


def _images(folder: Path) -> list[Path]:
    """Returns the image files anywhere in a folder, sorted by name, without hidden ones."""
    images = [each for each in folder.rglob("*") if each.suffix.lower() in SUFFIXES]
    paths = [each.relative_to(folder) for each in images if each.is_file()]
    visible = [each for each in paths if not any(part[0] == "." for part in each.parts)]
    return [folder / each for each in sorted(visible, key=Path.as_posix)]
