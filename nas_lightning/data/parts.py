"""What the names of a data set's parts mean: the one place that says so, whatever the form."""

import re
from collections.abc import Iterable, Mapping, Sequence

from nas_lightning.core.checks import one_of

__all__ = ["Chosen", "assign", "meaning", "several_data_sets", "shardless", "words_of"]

ROLES = {
    "train": ("train", "training", "tr"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "te", "t10k"),
    "unused": ("extra", "unsupervised", "unlabeled", "unlabelled"),  # taken by data.parts alone
}
ROLE_OF = {word: role for role, words in ROLES.items() for word in words}
KNOWN = "; ".join(f"{role}: {', '.join(words)}" for role, words in ROLES.items())
CURE = "data.parts={train: ..., test: ...}"
SHARDS = ("of", "part", "shard", "chunk", "snappy")
MADE_UP = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(-c\d+)?|-[0-9a-f]{16}$")
SHARD = re.compile(r"(^|[-_./])\d{4,}([-_.]of[-_.]\d+)?$")
WORD = re.compile(r"t10k|[a-z]+|\d+")

Chosen = Mapping[str, str | Sequence[str] | None]


def meaning(name: str) -> tuple[set[str], str]:
    """Returns the roles that a name in any case says, one if it is clear, and of which data set.

    >>> meaning("emnist-letters-train-00000-of-00002")
    ({'train'}, 'emnist letters')
    """
    roles, rest, last = set(), [], ""
    for word in words_of(MADE_UP.sub("", name)):
        is_number = word.isdigit() and (len(word) > 3 or last in ROLE_OF or last in SHARDS)
        if word in ROLE_OF:
            roles.add(ROLE_OF[word])
        elif not is_number and word not in SHARDS:
            rest.append(word)
        last = word
    return roles, " ".join(rest)


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
    """Returns the role of each part to read: "train", "validation" (trained on too) or "test".

    `chosen` are the parts that a user names by role, e.g. {"train": "a+b"}, or by "train_split";
    then others follow their names, or are not read. Without a test part validation is the test.

    Raises: ValueError: a name is not known, there is no training part, or several data sets.
    """
    names = list(names)
    roles = _chosen_roles(names, chosen)
    told = set(roles.values())
    meant = {name: meaning(name) for name in names if name not in roles}
    if not told and len({rest for _, rest in meant.values()}) > 1:
        raise several_data_sets(names, where)
    if not told and not any(own for own, _ in meant.values()):
        return dict.fromkeys(names, "train")
    for name, (own, _) in meant.items():
        if len(own) != 1 and not told:
            raise ValueError(
                f"it is not known what the part '{name}' of '{where}' is; known names are {KNOWN};"
                f" rename it, or say {CURE} by the names {', '.join(sorted(names))}"
            )
        if len(own) == 1 and not own & {*told, "unused"}:
            (roles[name],) = own
    if "train" not in roles.values():
        raise ValueError(
            f"'{where}' has no training part, only {', '.join(sorted(names))}; add one, or say"
            " data.parts={train: NAME}"
        )
    if "test" not in roles.values():
        roles = {name: "test" if r == "validation" else r for name, r in roles.items()}
    return {name: roles[name] for name in names if name in roles}


def several_data_sets(names: Iterable[str], where: object) -> ValueError:
    """Returns the error that names are not those of the parts of one data set."""
    return ValueError(
        f"'{where}' holds several data sets: {', '.join(sorted(names))}; name one by data.path, or"
        f" rename its parts (known are {KNOWN}), or say {CURE}"
    )


def _chosen_roles(names: Sequence[str], chosen: Chosen) -> dict[str, str]:
    roles: dict[str, str] = {}
    for setting, value in chosen.items():
        role = setting.removesuffix("_split")
        one_of("data.parts", role, ("train", "validation", "test"))
        parts = value.split("+") if isinstance(value, str) else value or []
        for part in parts:
            one_of(f"data.{'source' if role != setting else 'parts'}.{setting}", part, names)
            is_test = meaning(part)[0] == {"test"} and role == "train" and not chosen.get("test")
            if part in roles or is_test:
                raise ValueError(
                    f"training and test part must differ, got '{part}' and '{part}'; choose by"
                    f" {CURE}"
                )
            roles[part] = role
    return roles
