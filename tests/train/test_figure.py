import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np

from lstfill.train import loss_figure
from tests.model.views import HISTORY


def test_both_curves_and_the_kept_epoch_are_drawn():
    loss, rate = loss_figure(HISTORY).axes
    curves = {line.get_label(): line.get_xydata() for line in loss.lines}
    np.testing.assert_array_equal(curves["training, mean over the epoch"], [(1, 30), (2, 12), (3, 10)])
    np.testing.assert_array_equal(curves["validation, after the epoch"], [(1, 20), (2, 9), (3, 9.5)])
    np.testing.assert_array_equal(curves["kept: epoch 2, RMSE 3.00 K"], [(2, 9)])
    np.testing.assert_array_equal(rate.lines[0].get_ydata(), HISTORY.learning_rate)


def test_axes_have_units():
    loss, rate = loss_figure(HISTORY).axes
    assert loss.get_ylabel() == "mean squared error / K²"
    assert (rate.get_xlabel(), rate.get_ylabel()) == ("epoch", "learning rate")


def test_one_epoch_can_be_drawn(tmp_path):
    columns = ("loss", "val_loss", "mae", "val_mae", "learning_rate")
    one = dataclasses.replace(HISTORY, best_epoch=1, **{name: getattr(HISTORY, name)[:1] for name in columns})
    loss_figure(one).savefig(tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_no_window_is_opened():
    program = """
import sys
from tests.model.views import HISTORY
from lstfill.train import loss_figure
loss_figure(HISTORY)
assert "matplotlib.pyplot" not in sys.modules
"""
    root = Path(__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=root)
    assert result.returncode == 0, result.stderr
