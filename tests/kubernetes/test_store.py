"""What the double of an API server does to objects, as a real one would."""

import pytest

from tests.kubernetes.resources import known_resources
from tests.kubernetes.store import Key, Query, RefusedError, Store, merged

RESOURCES = known_resources(with_operator=True)
PODS, SECRETS = RESOURCES["v1", "pods"], RESOURCES["v1", "secrets"]
CLUSTERS = RESOURCES["kubernetes.dask.org/v1", "daskclusters"]


@pytest.fixture
def store():
    return Store()


def made(store, name="one", resource=PODS, **meta):
    return store.create(resource, "here", {"metadata": {"name": name} | meta, "spec": {"size": 1}})


def key(name="one", resource=PODS):
    return Key(resource, "here", name)


def owner(thing):
    return [{"apiVersion": "v1", "kind": "Pod", "name": thing["metadata"]["name"], "uid": thing["metadata"]["uid"]}]


def test_an_object_gets_a_uid_a_version_and_its_kind(store):
    first, second = made(store), made(store, "two")
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    assert int(first["metadata"]["resourceVersion"]) < int(second["metadata"]["resourceVersion"])
    assert (first["apiVersion"], first["kind"], first["metadata"]["namespace"]) == ("v1", "Pod", "here")


def test_a_name_is_made_where_a_prefix_is_given(store):
    assert store.create(PODS, "here", {"metadata": {"generateName": "p-"}})["metadata"]["name"].startswith("p-")


def test_the_same_name_twice_is_refused(store):
    made(store)
    with pytest.raises(RefusedError, match='pods "one" already exists') as refused:
        made(store)
    assert (refused.value.status, refused.value.reason) == (409, "AlreadyExists")


def test_what_is_not_there_is_refused(store):
    with pytest.raises(RefusedError, match='pods "one" not found'):
        store.delete(key())


def test_lists_go_by_namespace_labels_and_fields(store):
    made(store, labels={"a": "b"})
    made(store, "two")
    assert [thing["metadata"]["name"] for thing in store.find(Query(PODS, labels="a=b"))] == ["one"]
    assert store.find(Query(PODS, "there")) == []
    assert len(store.find(Query(PODS, "here", fields="metadata.name=two"))) == 1


def test_a_status_is_changed_apart_from_the_rest(store):
    made(store)
    store.patch(key(), {"spec": {"size": 2}, "status": {"phase": "Running"}}, as_json_patch=False, subresource=None)
    assert store.get(key())["spec"]["size"] == 2
    assert "status" not in store.get(key())
    store.patch(key(), {"spec": {"size": 3}, "status": {"phase": "Running"}}, as_json_patch=False, subresource="status")
    assert (store.get(key())["spec"]["size"], store.get(key())["status"]) == (2, {"phase": "Running"})


def test_the_generation_counts_changes_of_the_spec(store):
    made(store)
    store.patch(key(), {"metadata": {"labels": {"a": "b"}}}, as_json_patch=False, subresource=None)
    assert store.get(key())["metadata"]["generation"] == 1
    store.patch(key(), {"spec": {"size": 2}}, as_json_patch=False, subresource=None)
    assert store.get(key())["metadata"]["generation"] == 2


def test_a_change_that_changes_nothing_is_no_change(store):
    before = made(store)["metadata"]["resourceVersion"]
    store.patch(key(), {"spec": {"size": 1}}, as_json_patch=False, subresource=None)
    assert store.get(key())["metadata"]["resourceVersion"] == before


def test_a_json_patch_tests_before_it_changes(store):
    made(store)
    version = store.get(key())["metadata"]["resourceVersion"]
    test = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
    change = [test, {"op": "replace", "path": "/spec/size", "value": 5}]
    store.patch(key(), change, as_json_patch=True, subresource=None)
    assert store.get(key())["spec"]["size"] == 5
    with pytest.raises(RefusedError) as refused:
        store.patch(key(), change, as_json_patch=True, subresource=None)
    assert refused.value.status == 422


def test_finalizers_hold_an_object_until_they_are_gone(store):
    made(store, finalizers=["mine"])
    store.delete(key())
    assert store.get(key())["metadata"]["deletionTimestamp"]
    store.patch(key(), {"metadata": {"finalizers": None}}, as_json_patch=False, subresource=None)
    assert store.objects == {}


def test_with_its_owner_an_object_goes_and_what_it_owns_too(store):
    first = made(store)
    second = made(store, "two", CLUSTERS, ownerReferences=owner(first))
    made(store, "three", SECRETS, ownerReferences=owner(second))
    made(store, "four")
    store.delete(key())
    assert [thing["metadata"]["name"] for thing in store.objects.values()] == ["four"]


def test_in_the_foreground_what_an_object_owns_goes_while_it_is_held_itself(store):
    first = made(store, finalizers=["mine"])
    made(store, "two", ownerReferences=owner(first))
    store.delete(key())
    assert len(store.objects) == 2
    store.delete(key(), foreground=True)
    assert list(store.objects) == [key()]


def test_an_object_whose_owner_is_gone_does_not_stay(store):
    first = made(store)
    store.delete(key())
    made(store, "two", ownerReferences=owner(first))
    assert store.objects == {}


def test_a_watch_sees_each_change_after_its_version_and_the_last_state_of_what_went(store):
    made(store)
    seen = store.version
    store.patch(key(), {"spec": {"size": 2}}, as_json_patch=False, subresource=None)
    made(store, "two", SECRETS)
    store.delete(key())
    changes = [(change.type, change.thing["spec"]["size"]) for change in store.since(seen, Query(PODS))]
    assert changes == [("MODIFIED", 2), ("DELETED", 2)]


@pytest.mark.parametrize(
    ("old", "patch", "new"),
    [
        # The examples of RFC 7386, appendix A.
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch(old, patch, new):
    assert merged(old, patch) == new
