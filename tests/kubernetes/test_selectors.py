import pytest

from tests.kubernetes.selectors import fields_match, labels_match

LABELS = {"a": "b", "app": "one"}
POD = {"metadata": {"name": "one"}, "status": {"phase": "Running"}}


@pytest.mark.parametrize(
    "selector", ["", "a=b", "a==b", "a=b,app=one", "a!=c", "x!=y", "a in (b,c)", "a", "!x", "x notin (y)"]
)
def test_labels_that_fit(selector):
    assert labels_match(LABELS, selector)


@pytest.mark.parametrize("selector", ["a=c", "x=y", "a!=b", "a in (c,d),app=one", "!a", "x", "a notin (b, c)"])
def test_labels_that_do_not_fit(selector):
    assert not labels_match(LABELS, selector)


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        ("metadata.name=one", True),
        ("metadata.name=one,status.phase=Running,", True),
        ("status.phase!=Failed", True),
        ("status.phase=Pending", False),
        ("spec.nodeName=here", False),
    ],
)
def test_fields(selector, fits):
    assert fields_match(POD, selector) == fits
