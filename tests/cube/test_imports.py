"""The package stays light: a step that only plans must not pay for what it does not use."""

import subprocess
import sys

CODE = """
import sys
import lstfill.cube, lstfill.synthetic
print([name for name in ("xarray", "pandas", "zarr", "dask", "global_land_mask") if name in sys.modules])
"""


def test_the_contract_and_the_planet_load_without_xarray():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
