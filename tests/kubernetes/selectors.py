"""Label and field selectors of Kubernetes, as text in a query."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_OUTSIDE_PARENTHESES = re.compile(r",(?![^(]*\))")
_SET = re.compile(r"(\S+) (in|notin) \((.*)\)")


def labels_match(labels: Mapping[str, str], selector: str) -> bool:
    """Whether labels fit a selector such as ``a=b,c!=d,e in (f,g),h,!i``."""
    terms = [term.strip() for term in _OUTSIDE_PARENTHESES.split(selector) if term.strip()]
    return all(_label_fits(labels, term) for term in terms)


def fields_match(thing: Mapping[str, Any], selector: str) -> bool:
    """Whether an object's fields fit a selector such as ``metadata.name=a,status.phase!=Failed``."""
    return all(_field_fits(thing, term.strip()) for term in selector.split(",") if term.strip())


def _label_fits(labels: Mapping[str, str], term: str) -> bool:
    if found := _SET.fullmatch(term):
        listed = [value.strip() for value in found[3].split(",")]
        return (labels.get(found[1]) in listed) == (found[2] == "in")
    if "!=" in term:
        key, value = term.split("!=")
        return labels.get(key) != value
    if "=" in term:
        key, value = re.split("==?", term)
        return labels.get(key) == value
    return term[1:] not in labels if term.startswith("!") else term in labels


def _field_fits(thing: Mapping[str, Any], term: str) -> bool:
    path, sign, value = re.fullmatch(r"([^=!]+)(!=|==?)(.*)", term).groups()
    place: Any = thing
    for part in path.split("."):
        place = (place or {}).get(part)
    return (str(place or "") == value) != (sign == "!=")
