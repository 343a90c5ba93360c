"""Words for what stands in no catalogue, and the nearest that does."""

import re
from collections.abc import Mapping
from difflib import get_close_matches

from proxy.model.facts import CATALOGUE
from proxy.policy.cel.functions import HELPERS, STANDARD, Function
from proxy.policy.cel.names import FACTS, GUARD, LIST, Lists, nameable

FUNCTIONS: dict[str, Function] = {
    **{name: helper.function for name, helper in HELPERS.items()},
    **STANDARD,
}
_TYPES = {
    "string": "a string",
    "int": "an int",
    "uint": "a uint",
    "double": "a double",
    "bool": "a bool",
    "bytes": "bytes",
    "null_type": "null",
    "list(string)": "a list of strings",
    "google.protobuf.Timestamp": "a timestamp",
    "google.protobuf.Duration": "a duration",
}


def nearest(word: str, known: Mapping[str, object] | list[str], shown: str = "{}") -> str:
    """A hint at the nearest known word, or nothing."""
    near = get_close_matches(word, list(known), n=1)
    return f' (did you mean "{shown.format(near[0])}"?)' if near else ""


def _last_part(name: str) -> str:
    """A hint at the one fact whose last part this is."""
    facts = [fact for fact in FACTS if fact.endswith(f".{name}")]
    return f' (did you mean "{facts[0]}"?)' if len(facts) == 1 else ""


def unknown_name(name: str, lists: Lists) -> str:
    """What is said of a name that is neither a fact nor a list."""
    if name in CATALOGUE:
        return f"{name} cannot be used in a condition"
    if name.startswith(GUARD):
        return f"write has({name.removeprefix(GUARD)})"
    if name.startswith(LIST):
        return _unknown_list(name.removeprefix(LIST), lists)
    part = next((fact for fact in FACTS if name.startswith(f"{fact}.")), None)
    if part:
        return f"{part} is a {FACTS[part].type.value}; it has no parts"
    if "." not in name:
        quoted = f' (a text stands in quotes: "{name}")'
        meant = nearest(name, FACTS) or _last_part(name) or quoted
        return f'there is no fact "{name}"{meant}'
    same = [fact for fact in FACTS if fact.split(".")[1] == name.split(".")[1]]
    hint = f' (did you mean "{same[0]}"?)' if len(same) == 1 else nearest(name, FACTS)
    group = sorted(fact for fact in FACTS if fact.split(".")[0] == name.split(".", maxsplit=1)[0])
    known = f" (there are {', '.join(group)})" if group else ""
    return f'there is no fact "{name}"{hint or known}'


def _unknown_list(name: str, lists: Lists) -> str:
    awkward = [known for known in lists if not nameable(known) and known.startswith(name)]
    if awkward:
        return (
            f'the list "{awkward[0]}" cannot be named in a condition: rename it with letters, '
            "digits and _ only"
        )
    hint = nearest(name, list(lists), "lists.{}")
    few = f" (there are {', '.join(sorted(lists))})" if 0 < len(lists) <= 8 else ""
    return f'there is no list "{name}"{hint or few}'


def unknown_function(name: str) -> str:
    """What is said of a call of something that is no function."""
    known = FUNCTIONS.get(name)
    if known:
        return f"{name} is used as in {known.usage}"
    if name == "map":
        return "map is not supported: ask with exists or all"
    hint = nearest(name, FUNCTIONS) or " (gauger policy facts lists them)"
    return f'there is no function "{name}"{hint}'


def type_words(name: str) -> str:
    """A type as CEL names it, with an article."""
    listed = re.fullmatch(r"list\((.*)\)", name)
    return _TYPES.get(name) or ("a list" if listed else name)
