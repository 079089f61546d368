"""Results are kept by bench, each with the surroundings it was found in."""

from benchmarks import results


def test_a_bench_replaces_its_own_results_alone(tmp_path):
    place = tmp_path / "results.json"
    results.stored(place, "start", {"help_s": 1}, {"date": "then"})
    results.stored(place, "job", {"repeats": 3}, {"date": "then"})
    results.stored(place, "start", {"help_s": 2}, {"date": "now"})
    assert results.load(place) == {
        "start": {"help_s": 2, "surroundings": {"date": "now"}},
        "job": {"repeats": 3, "surroundings": {"date": "then"}},
    }


def test_surroundings_name_machine_and_versions():
    about = results.surroundings()
    assert about["machine"]["cores"] >= 1
    assert about["versions"]["numpy"]
    assert about["commit"]
