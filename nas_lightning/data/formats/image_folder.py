"""Image files in one folder per class, perhaps within folders of parts, e.g. train/ and test/."""

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from nas_lightning.data.parts import KNOWN, PartName, assign
from nas_lightning.data.raw_parts import Part, RawParts, ReadOptions

__all__ = [
    "SUFFIXES",
    "find_images",
    "has_classes",
    "left_out",
    "read_image_folder",
    "visible_files",
]

SUFFIXES: tuple[str, ...] = (
    ".png",
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".webp",
)
SUFFIXES += (".avif", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm", ".tga")

ImagePaths = Mapping[str, Sequence[Path]]  # by class


def visible_files(root: Path) -> list[str]:
    """Returns the files anywhere in a folder, relative to it, sorted, without hidden ones."""
    files = []
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if name[0] != "."]
        within = Path(folder).relative_to(root).as_posix() + "/" if folder != str(root) else ""
        files += [within + name for name in names if name[0] != "."]
    return sorted(files)


def read_image_folder(path: str | None, options: ReadOptions) -> RawParts:
    """Returns the images by class, named after their folders; for the errors see `find_images`."""
    by_part, passed_over = find_images(path, options)
    parts = []
    for (name, role), images in by_part.items():
        files = [file for kind in sorted(images) for file in images[kind]]
        labels = [kind for kind in sorted(images) for _ in images[kind]]
        parts.append(Part(name, role, files, labels))
    return RawParts(parts, passed_over)


def find_images(
    path: str | None, options: ReadOptions
) -> tuple[dict[tuple[str, str], ImagePaths], list[str]]:
    """Returns the images by class of each (part, role), and what was passed over.

    Raises: ValueError: the folder is missing or unlike this, or training lacks a test class.
    """
    if path is None:
        raise ValueError("data=folder needs a folder, got data.path=null; add data.path=DIR")
    root = Path(path).expanduser()
    if not root.is_dir():
        state = "is another file" if root.exists() else "does not exist"
        raise ValueError(
            f"data.path must be a folder, or a file such as .npz or .csv, but '{path}' {state}; "
            "give a folder with one sub-folder of images per class, or such a file"
        )
    files = visible_files(root)
    roles = _roles(root, files, options)
    parts = {(name, role): _by_class(root, files, name) for name, role in roles.items()}
    for (name, role), images in parts.items():
        trained = {kind for (_, r), each in parts.items() if r != "test" for kind in each}
        if role == "test" and (unknown := sorted(set(images) - trained)):
            training = next(root / n for n, r in roles.items() if r == "train")
            raise ValueError(
                f"every test class needs training images; '{root / name / unknown[0]}' has none in"
                f" '{training}'; known classes: {', '.join(sorted(trained))}"
            )
    read = {path for images in parts.values() for paths in images.values() for path in paths}
    return parts, left_out(root, files, read, "images outside the classes")


def left_out(root: Path, files: Sequence[str], read: Collection[Path], images: str) -> list[str]:
    """Returns how many files were not read, by suffix; `images` says what images are then."""
    suffixes = [Path(each).suffix.lower() for each in files if root / each not in read]
    kinds = [images if each in SUFFIXES else f"{each or 'other'} files" for each in suffixes]
    return [f"{number} {kind}" for kind, number in sorted(Counter(kinds).items())]


def has_classes(root: Path) -> bool:
    """Returns whether several folders that are no parts hold images."""
    inner = {file.split("/")[0] for file in visible_files(root) if "/" in file and _is_image(file)}
    return len(inner) > 1 and not all(PartName.of(name).roles for name in inner)


def _is_image(file: str) -> bool:
    return Path(file).suffix.lower() in SUFFIXES


def _roles(root: Path, files: Sequence[str], options: ReadOptions) -> dict[str, str]:
    """Returns the role of each folder of a part; {"": "train"} if the folders are classes."""
    folders = sorted(each.name for each in root.iterdir() if each.is_dir() and each.name[0] != ".")
    images = [each.split("/") for each in files if _is_image(each)]
    direct = {each[0] for each in images if len(each) == 2}
    if any(options.parts.values()):
        return {
            name: r for name, r in assign(folders, options.parts, root).items() if r != "unused"
        }
    if not any(name not in direct and PartName.of(name).roles for name in folders):
        _check_classes(root, folders, images, direct)
        return {"": "train"}
    if unknown := [name for name in folders if not PartName.of(name).roles]:
        raise ValueError(
            f"beside the parts of '{root}' only parts may stand, got '{unknown[0]}'; known are"
            f" {KNOWN}; move its images, or say data.parts={{train: ..., test: ...}}"
        )
    return {name: r for name, r in assign(folders, {}, root).items() if r != "unused"}


def _check_classes(
    root: Path, folders: Sequence[str], images: Sequence[Sequence[str]], direct: set[str]
) -> None:
    """Refuses folders that hold the same sub-folders: they look like parts of unknown names."""
    inner = {name: {e[1] for e in images if e[0] == name and len(e) > 2} for name in folders}
    shared = Counter(name for each in inner.values() for name in each)
    if not direct and len([name for name, number in shared.items() if number > 1]) > 1:
        raise ValueError(
            f"'{root}' holds {', '.join(folders)}, each with sub-folders such as"
            f" {', '.join(sorted(shared)[:3])}: which of them are parts is not known; known are"
            f" {KNOWN}; say data.parts={{train: ..., test: ...}}"
        )


def _by_class(root: Path, files: Sequence[str], part: str) -> ImagePaths:
    """Returns the images in the folders of a part, of which "" is the whole."""
    home = root / part
    folders = sorted(each.name for each in home.iterdir() if each.is_dir() and each.name[0] != ".")
    if not folders:
        state = "holds only files" if any(home.iterdir()) else "is empty"
        raise ValueError(
            f"a folder of images must hold one sub-folder per class, but '{home}' {state};"
            " move the images of each class into a sub-folder of its name"
        )
    images: dict[str, list[Path]] = {name: [] for name in folders}
    prefix = f"{part}/" if part else ""
    for file in files:
        kind, _, name = file.removeprefix(prefix).partition("/")
        if name and file.startswith(prefix) and _is_image(file):
            images[kind].append(root / file)
    if not any(images.values()):
        raise ValueError(
            f"no PNG or JPEG image in the {len(folders)} sub-folders of '{home}'; add some, named"
            f" {', '.join('*' + suffix for suffix in SUFFIXES)}"
        )
    return images
