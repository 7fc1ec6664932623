"""Image files by class, found in folders."""

from collections.abc import Mapping, Sequence
from pathlib import Path

SUFFIXES = (".png", ".jpg", ".jpeg")

ImagePaths = Mapping[str, Sequence[Path]]


def find_images(path: str | None) -> tuple[ImagePaths, ImagePaths | None]:
    """The training and the test images by class; the latter None without a test division.

    Raises:
        ValueError: if the folder is missing or empty, has no class sub-folders, or a test class
            has no training images.
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
    if others := sorted(set(parts) - {"train", "test"}):
        raise ValueError(
            f"beside 'train' in '{path}' only 'test' may stand, got '{others[0]}'; a validation"
            " part is split off 'train', so move its images there"
        )
    train = _by_class(parts["train"])
    if "test" not in parts:
        return train, None
    test = _by_class(parts["test"])
    if unknown := sorted(set(test) - set(train)):
        raise ValueError(
            f"every test class needs training images; '{parts['test'] / unknown[0]}' has none in"
            f" '{parts['train']}'; known classes: {', '.join(sorted(train))}"
        )
    return train, test


def _by_class(root: Path) -> ImagePaths:
    if not any(root.iterdir()):
        raise ValueError(
            f"a folder of images must hold one sub-folder a class, but '{root}' is empty; fill it"
        )
    classes = _folders(root)
    if not classes:
        raise ValueError(
            f"a folder of images must hold one sub-folder a class, but '{root}' holds only files;"
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
    """The image files anywhere in a folder, in the order of their names, hidden ones apart."""
    files = [each.relative_to(folder) for each in folder.rglob("*") if each.is_file()]
    images = [each for each in files if each.suffix.lower() in SUFFIXES]
    visible = [each for each in images if not any(part[0] == "." for part in each.parts)]
    return [folder / each for each in sorted(visible, key=Path.as_posix)]
