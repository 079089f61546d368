"""The loss curve of a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstfill.model.base import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def loss_figure(history: History) -> Figure:
    """Draws training and validation loss and the learning rate over the epochs; marks the epoch that was kept.

    Args:
        history: of a fit.

    Returns:
        A figure of its own, not known to pyplot; ``figure.savefig`` writes it.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 5.0), layout="constrained")
    loss, rate = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _draw_loss(loss, history)
    rate.plot(_epochs(history), history.learning_rate, color="0.3", marker=".")
    rate.set(xlabel="epoch", ylabel="learning rate", yscale="log")
    rate.xaxis.get_major_locator().set_params(integer=True)
    for axes in (loss, rate):
        axes.grid(alpha=0.3)
    return figure


def _draw_loss(axes: Axes, history: History) -> None:
    best = history.val_loss[history.best_epoch - 1]
    axes.plot(_epochs(history), history.loss, marker=".", label="training, mean over the epoch")
    axes.plot(_epochs(history), history.val_loss, marker=".", label="validation, after the epoch")
    axes.plot(
        history.best_epoch,
        best,
        linestyle="none",
        marker="o",
        markersize=10,
        fillstyle="none",
        color="black",
        label=f"kept: epoch {history.best_epoch}, RMSE {best**0.5:.2f} K",
    )
    axes.set(ylabel="mean squared error / K²", yscale="log", title="Loss of the fit")
    axes.legend()


def _epochs(history: History) -> range:
    return range(1, len(history.loss) + 1)
