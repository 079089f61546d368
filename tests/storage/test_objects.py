import pytest

from lstfill.errors import StoreError
from lstfill.storage import objects


@pytest.fixture(params=["path", "s3"])
def place(request, tmp_path):
    return f"{tmp_path}/deep/down" if request.param == "path" else request.getfixturevalue("s3")


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/model.json").write_text("{}")
    (tmp_path / "tree/sub/weights").write_bytes(bytes(range(256)))
    return tmp_path / "tree"


def test_json_and_bytes_come_back(place):
    value = {"a": [1, 2.5, None, "ü"], "b": {"c": True}}
    objects.put_json(place + "/x.json", value)
    objects.put_bytes(place + "/y", b"\x00\xff")
    assert objects.get_json(place + "/x.json") == value
    assert objects.get_bytes(place + "/y") == b"\x00\xff"
    objects.put_bytes(place + "/y", b"again")
    assert objects.get_bytes(place + "/y") == b"again"


def test_json_is_strict(place):
    with pytest.raises(ValueError, match="Out of range float"):
        objects.put_json(place + "/x.json", {"a": float("nan")})
    assert not objects.exists(place + "/x.json")
    objects.put_bytes(place + "/x.json", b"no json")
    with pytest.raises(StoreError, match=r"cannot read .*x\.json: its metadata is damaged"):
        objects.get_json(place + "/x.json")


def test_what_is_not_there(place, tmp_path):
    assert not objects.exists(place + "/none")
    objects.remove(place + "/none")
    with pytest.raises(StoreError, match=r"cannot read .*/none: there is no such"):
        objects.get_bytes(place + "/none")
    with pytest.raises(StoreError, match=r"cannot read .*/none: there is no such"):
        objects.get_tree(place + "/none", tmp_path / "to")


def test_trees_come_back_and_replace(place, tree, tmp_path):
    objects.put_tree(tree, place + "/model")
    objects.put_bytes(place + "/model/stale", b"")
    objects.put_tree(tree, place + "/model")
    objects.get_tree(place + "/model", tmp_path / "back/again")
    found = {p.relative_to(tmp_path / "back/again").as_posix() for p in (tmp_path / "back/again").rglob("*")}
    assert found == {"model.json", "sub", "sub/weights"}
    assert (tmp_path / "back/again/sub/weights").read_bytes() == bytes(range(256))


def test_remove_takes_the_tree_and_no_neighbour(place, tree):
    objects.put_tree(tree, place + "/model")
    objects.put_bytes(place + "/model-2", b"")
    assert objects.exists(place + "/model")
    assert objects.exists(place + "/model/model.json")
    assert not objects.exists(place + "/mod")
    objects.remove(place + "/model")
    assert not objects.exists(place + "/model")
    assert objects.exists(place + "/model-2")
    objects.remove(place + "/model-2")
    assert not objects.exists(place + "/model-2")


def test_a_failed_write_leaves_the_old_file_and_no_scraps(tmp_path, monkeypatch):
    uri = str(tmp_path / "x")
    objects.put_bytes(uri, b"old")

    def failing(self, _):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", failing)
    with pytest.raises(StoreError, match=r"cannot write .*no space left on the disk"):
        objects.put_bytes(uri, b"new")
    assert objects.get_bytes(uri) == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_wrong_keys_are_not_taken_for_nothing_there(s3, monkeypatch):
    monkeypatch.setenv("LSTFILL_S3_SECRET_ACCESS_KEY", "wrong-secret")
    for use in (objects.exists, objects.get_bytes, objects.remove, lambda uri: objects.put_bytes(uri, b"")):
        with pytest.raises(StoreError, match="no access at the endpoint"):
            use(s3 + "/x")


def test_no_such_bucket(s3):
    with pytest.raises(StoreError, match="cannot write s3://nope-bucket/x: there is no such bucket"):
        objects.put_bytes("s3://nope-bucket/x", b"")
