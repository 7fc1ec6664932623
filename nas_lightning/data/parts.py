"""What the names of a data set's parts mean: the one place that says so, whatever the form."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nas_lightning.core.checks import one_of

__all__ = ["Chosen", "PartName", "assign", "shardless", "words_of"]

ROLES = {
    "train": ("train", "training", "tr"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "te", "t10k"),
    "unused": ("extra", "unsupervised", "unlabeled", "unlabelled"),  # taken by data.parts alone
}
ROLE_OF = {word: role for role, words in ROLES.items() for word in words}
KNOWN = "; ".join(f"{role}: {', '.join(words)}" for role, words in ROLES.items())
SHARDS = ("of", "part", "shard", "chunk", "snappy")
MADE_UP = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(-c\d+)?|-[0-9a-f]{16}$")
SHARD = re.compile(r"(^|[-_./])\d{4,}([-_.]of[-_.]\d+)?$")
WORD = re.compile(r"t10k|[a-z]+|\d+")

Chosen = Mapping[str, str | Sequence[str] | None]


@dataclass(frozen=True)
class PartName:
    """What a name says, of a split, a folder, a file without its suffix, or an array.

    >>> PartName.of("emnist-letters-train-00000-of-00002")
    PartName(roles=frozenset({'train'}), rest='emnist letters')
    """

    roles: frozenset[str]  # one if the name is clear
    rest: str  # of which data set it is a part; numbers of shards left out

    @classmethod
    def of(cls, name: str) -> "PartName":
        """Returns what a name in any case, with any separators, says."""
        roles, rest, last = set(), [], ""
        for word in words_of(MADE_UP.sub("", name)):
            is_number = word.isdigit() and (len(word) > 3 or last in ROLE_OF or last in SHARDS)
            if word in ROLE_OF:
                roles.add(ROLE_OF[word])
            elif not is_number and word not in SHARDS:
                rest.append(word)
            last = word
        return cls(frozenset(roles), " ".join(rest))


def words_of(name: str) -> list[str]:
    """Returns the words and numbers of a name, in lower case.

    >>> words_of("trainImages_2")
    ['train', 'images', '2']
    """
    return WORD.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


def shardless(name: str) -> str:
    """Returns the name of a part without the number of its shard.

    >>> shardless("plain/test-00000-of-00001")
    'plain/test'
    """
    return SHARD.sub("", MADE_UP.sub("", name))


def assign(names: Iterable[str], chosen: Chosen, where: object) -> dict[str, str]:
    """Returns each part's role: "train", "validation" (trained on too), "test" or "unused".

    `chosen` are the parts that a user names by role, e.g. {"train": "a+b"}, or by "train_split";
    then others follow their names, or are unused. Without a test part validation is the test part.

    Raises: ValueError: a name is not known, there is no training part, or several data sets.
    """
    names = list(names)
    roles: dict[str, str] = {}
    for setting, value in chosen.items():
        role = setting.removesuffix("_split")
        one_of("data.parts", role, ("train", "validation", "test"))
        for part in [] if value is None else _listed(value):
            own = PartName.of(part).roles
            one_of(f"data.{'source' if role != setting else 'parts'}.{setting}", part, names)
            if part in roles or (own == {"test"} and role == "train" and not chosen.get("test")):
                raise ValueError(
                    f"training and test part must differ, got '{part}' and '{part}'; choose by"
                    " data.parts={train: ..., test: ...}"
                )
            roles[part] = role
    told = set(roles.values())
    meant = {name: PartName.of(name) for name in names if name not in roles}
    if not told and len({each.rest for each in meant.values()}) > 1:
        raise ValueError(
            f"'{where}' holds several data sets: {', '.join(sorted(names))}; name one by data.path,"
            " or say what the parts are: data.parts={train: ..., test: ...}"
        )
    if not told and not any(each.roles for each in meant.values()):
        return dict.fromkeys(names, "train")
    for name, each in meant.items():
        if len(each.roles) != 1 and not told:
            raise ValueError(
                f"it is not known what the part '{name}' of '{where}' is; known names are"
                f" {KNOWN}; rename it, or say data.parts={{train: ..., test: ...}} by the names"
                f" {', '.join(sorted(names))}"
            )
        role = next(iter(each.roles)) if len(each.roles) == 1 else "unused"
        roles[name] = "unused" if role in told else role
    if "train" not in roles.values():
        raise ValueError(
            f"'{where}' has no training part, only {', '.join(sorted(names))}; add one, or say"
            " data.parts={train: NAME}"
        )
    if "test" not in roles.values():
        roles = {name: "test" if r == "validation" else r for name, r in roles.items()}
    return {name: roles[name] for name in names}


def _listed(value: str | Sequence[str]) -> list[str]:
    return value.split("+") if isinstance(value, str) else list(value)
