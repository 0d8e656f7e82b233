"""The report of an evaluation as one HTML page without other files: tables, plots, and the worst misses."""

from __future__ import annotations

import io
import math
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from featmatch.errors import ImageError
from featmatch.evaluation.report import Figures, worst_misses
from featmatch.evaluation.running import Evaluation, Record, index_of
from featmatch.evaluation.trials import make
from featmatch.pages.thumbnails import embedded

_THUMBNAIL_PX = 220


def page_of(report: Figures, evaluation: Evaluation, workspace: Path) -> str:
    """Make the page, as text.

    Args:
        report: from ``report_of``.
        evaluation: the one that the report is of; its photos must still be there.
        workspace: of the evaluation, unchanged.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["share"] = lambda value: "" if math.isnan(value) else f"{100 * value:.1f} %"
    template = environment.from_string((resources.files("featmatch.pages") / "report.html").read_text(encoding="utf-8"))
    crops = report["suites"].get("crops")
    return template.render(
        report=report,
        crop_plot=_crop_plot(crops["rows"]) if crops else None,
        plots={suite: _suite_plot(suite, evaluation.records, figures) for suite, figures in report["suites"].items()},
        misses={
            suite: [_miss(record, evaluation, workspace) for record in worst_misses(evaluation.records, suite)]
            for suite in report["suites"]
        },
    )


def _miss(record: Record, evaluation: Evaluation, workspace: Path) -> dict[str, Any]:
    """What the template shows of a miss: the query, the photo, why it was missed, and what was answered instead."""
    picture = make(record.trial, evaluation.plan).picture
    right = next((answer for answer in record.answers if answer.right), None)
    wrong = next((answer for answer in record.answers if answer.right is False), None)
    return {
        "record": record,
        "query": embedded(picture, _THUMBNAIL_PX),
        "photo": embedded(record.photo, _THUMBNAIL_PX),
        "why": index_of(record.suite, workspace).explain(picture, _file_of(record.sources[0], workspace)).verdict,
        "right": right,
        "wrong": wrong,
        "wrong_photo": _embedded_file(wrong.name, workspace) if wrong else None,
    }


def _file_of(name: str, workspace: Path) -> Path:
    """Path of a file, from its name in the records."""
    return workspace.absolute() / name if name.startswith(("decorated/", "plain/")) else Path(name)


def _embedded_file(name: str, workspace: Path) -> str | None:
    try:
        return embedded(_file_of(name, workspace), _THUMBNAIL_PX)
    except ImageError:
        return None  # it was moved after it was indexed


def _crop_plot(rows: list[Figures]) -> str:
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    shares = [float(row["edit"].split()[1]) for row in rows]
    for key, label in (
        ("recall_at_1", "at rank 1"),
        ("recall_at_zero_false", "at zero false claims"),
        ("claim_recall", "claimed"),
    ):
        axes.plot(shares, [row[key] for row in rows], "o-", label=label)
    axes.set(xscale="log", xlabel="crop, % of the area", ylabel="recall", ylim=(-0.02, 1.02))
    axes.set_xticks(shares, [f"{share:g}" for share in shares])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return _svg(figure)


def _suite_plot(suite: str, records: list[Record], figures: Figures) -> str:
    """Two plots: reliability of the probability, and histograms of the scores of right and wrong answers."""
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _plot_reliability(left, figures)
    answers = [(record.positive, answer) for record in records if record.suite == suite for answer in record.answers]
    groups = {
        "right": [answer.score for _, answer in answers if answer.right],
        "wrong, photo indexed": [answer.score for positive, answer in answers if answer.right is False and positive],
        "wrong, not indexed": [answer.score for positive, answer in answers if answer.right is False and not positive],
    }
    top = max((max(scores) for scores in groups.values() if scores), default=1.0)
    bins = np.linspace(0, max(min(top, 60.0), 1.0), 61)
    for label, scores in groups.items():
        right.hist(np.minimum(scores, bins[-1]), list(bins), histtype="step", label=label)
    right.set(xlabel="score (the last bin holds all above)", ylabel="answers", yscale="symlog")
    right.legend()
    return _svg(figure)


def _plot_reliability(axes: Axes, figures: Figures) -> None:
    filled = [one for one in figures["reliability"] if one["answers"]]
    axes.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
    axes.plot([one["probability"] for one in filled], [one["right"] for one in filled], "o-")
    for one in filled:
        axes.annotate(str(one["answers"]), (one["probability"], one["right"]), (4, -10), textcoords="offset points")
    axes.set(
        xlabel="probability of the best answer (count)", ylabel="share right", xlim=(-0.03, 1.1), ylim=(-0.08, 1.05)
    )
    axes.grid(alpha=0.3)


def _svg(figure: Figure) -> str:
    """The figure as an <svg> element; the same figure always gives the same text."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "featmatch", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
