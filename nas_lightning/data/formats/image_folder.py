"""Image files in one folder per class, perhaps within folders of parts, e.g. train/ and test/."""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from nas_lightning.data.parts import assign, meaning, several_data_sets
from nas_lightning.data.raw_parts import Part, RawParts, ReadOptions

__all__ = ["has_classes", "is_image", "left_out", "read_image_folder", "visible_files"]

USUAL = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp")
SUFFIXES = (*USUAL, ".avif", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm", ".tga")


def visible_files(root: Path) -> list[str]:
    """Returns the files anywhere in a folder, relative to it, sorted, without hidden ones."""
    files = []
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if name[0] != "."]
        within = Path(folder).relative_to(root).as_posix() + "/" if folder != str(root) else ""
        files += [within + name for name in names if name[0] != "."]
    return sorted(files)


def is_image(file: str) -> bool:
    """Returns whether a file is an image by its suffix."""
    return Path(file).suffix.lower() in SUFFIXES


def left_out(root: Path, read: Collection[Path], images: str) -> list[str]:
    """Returns how many files were not read, by suffix; `images` says what images are then."""
    files = [file for file in visible_files(root) if root / file not in read]
    kinds = [images if is_image(e) else f"{Path(e).suffix.lower() or 'other'} files" for e in files]
    return [f"{number} {kind}" for kind, number in sorted(Counter(kinds).items())]


def has_classes(root: Path) -> bool:
    """Returns whether several folders that are no parts hold images."""
    inner = {file.split("/")[0] for file in visible_files(root) if "/" in file and is_image(file)}
    return len(inner) > 1 and not all(meaning(name)[0] for name in inner)


def read_image_folder(root: Path, options: ReadOptions) -> RawParts:
    """Returns the images and their classes, which are named by folders."""
    images = [file for file in visible_files(root) if is_image(file)]
    parts, read = [], []
    for name, role in _roles(root, images, options).items():
        within = f"{name}/" if name else ""
        inside = [e.removeprefix(within).split("/") for e in images if e.startswith(within)]
        by_class = sorted((path[0], "/".join(path[1:])) for path in inside if len(path) > 1)
        if not by_class:
            home, number = root / name, len(_folders(root / name))
            state = f"has no PNG or JPEG image in its {number} sub-folders"
            if not number:
                state = "holds only files" if any(home.iterdir()) else "is empty"
            raise ValueError(
                f"a folder of images must hold one sub-folder per class, but '{home}' {state}; move"
                f" the images of each class into a sub-folder of its name (*{', *'.join(SUFFIXES)})"
            )
        files = [root / name / kind / file for kind, file in by_class]
        parts.append(Part(name, role, files, [kind for kind, _ in by_class]))
        read += files
    return RawParts(parts, left_out(root, set(read), "images outside the classes"))


def _folders(root: Path) -> list[str]:
    return sorted(each.name for each in root.iterdir() if each.is_dir() and each.name[0] != ".")


def _roles(root: Path, images: Sequence[str], options: ReadOptions) -> dict[str, str]:
    """Returns the role of each folder of a part; {"": "train"} if the folders are classes."""
    folders = _folders(root)
    paths = [file.split("/") for file in images]
    direct = {path[0] for path in paths if len(path) == 2}
    is_told = any(options.parts.values())
    if is_told or any(name not in direct and meaning(name)[0] for name in folders):
        return assign(folders, options.parts, root)
    inner = {name: {path[1] for path in paths if path[0] == name} for name in folders}
    numbers = Counter(name for each in inner.values() for name in each)
    if not direct and sum(number > 1 for number in numbers.values()) > 1:
        raise several_data_sets(folders, root)  # each with the same classes
    return {"": "train"}
