import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_current():
    page = runpy.run_path(str(DOCS / "write_configuration.py"))["page"]()
    assert (DOCS / "configuration.md").read_text() == page, "run `make docs`"


def test_the_page_names_units_defaults_and_choices():
    page = (DOCS / "configuration.md").read_text()
    assert "| `valid_range_k` | list of 2: number | K | `[180.0, 345.0]` |" in page
    assert "| `bbox_deg` | list of 4: number or null | degree | null |" in page
    assert "| `kind` | `block` or `random` |  | `block` |" in page
    assert "| `uri` | text |  | required |" in page
