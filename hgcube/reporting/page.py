"""`report`: gather, draw, fill the template, write the page."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from hgcube import __version__
from hgcube.errors import StoreError
from hgcube.reporting import rows
from hgcube.reporting.contents import Contents, counts, read
from hgcube.reporting.figures import figures
from hgcube.reporting.methods import banners, facts, methods
from hgcube.store import part_name
from hgcube.views.scores import R2_BINS

logger = logging.getLogger("hgcube")

PAGE = "report.html"
_FINGERPRINTED = ("features", "results", "tables", "verdicts")


def report(store: str | Path) -> Path:
    """Write one self-contained HTML page about a store.

    Reads stored cubes only. A half-finished store gives a page with what is there, that names
    what is missing and the step that makes it.

    Parameters
    ----------
    store : path
        The store's folder.

    Returns
    -------
    pathlib.Path
        ``<store>/report.html``; opens offline, asks nothing of the net.

    Raises
    ------
    StoreError
        If there is no such folder, or it cannot be written.
    SettingsError
        If there is no study.toml, or a wrong one.
    """
    contents = read(store)
    return write_page(contents.store / PAGE, "page.html", _context(contents))


def write_page(path: Path, template: str, context: dict[str, Any]) -> Path:
    """Fill a template and write the page at once.

    Parameters
    ----------
    path : path
    template : str
        File in ``templates``.
    context : dict

    Returns
    -------
    pathlib.Path

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    partial = path.with_suffix(".partial")
    page = _rendered(template, context)
    try:
        partial.write_text(page, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise StoreError(
            f"a place {path} that can be written",
            str(error),
            "Free space, or make the folder writable",
        ) from None
    logger.info("wrote %s (%.1f MB)", path, path.stat().st_size / 1e6)
    return path


def _rendered(template: str, context: dict[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # every text comes from files of the user: all of it is escaped
    environment = Environment(
        loader=PackageLoader("hgcube.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**context)


def _context(contents: Contents) -> dict[str, Any]:
    drawn, no_figures = figures(contents)
    words, electrodes, verdicts = contents.words, contents.electrodes, contents.verdicts
    found = [] if electrodes is None else rows.found_electrodes(electrodes)
    level = 0.05 if verdicts is None else float(verdicts.attrs["level"])
    return {
        "name": contents.store.resolve().name,
        "version": __version__,
        "banners": banners(contents),
        "headlines": [] if verdicts is None else rows.headlines(verdicts),
        "decided_by": "" if electrodes is None else rows.inference_solver(electrodes),
        "cards": [] if verdicts is None else rows.cards(verdicts),
        "scores": [] if words is None or electrodes is None else rows.scores(words, electrodes),
        "n_not_converged": 0 if electrodes is None else rows.not_converged(electrodes),
        "bins": [] if words is None else rows.bins(words),
        "bin_labels": R2_BINS,
        "found": found[: rows.MOST_ELECTRODES],
        "n_more": max(len(found) - rows.MOST_ELECTRODES, 0),
        "tested": verdicts is not None,
        "figures": drawn,
        "no_figures": no_figures,
        "gaps": contents.gaps,
        "counts": counts(contents.ledger),
        "methods": methods(contents.analysis, level),
        "facts": facts(contents),
        "about": contents.about,
        "fingerprints": _fingerprints(contents),
    }


def _fingerprints(contents: Contents) -> list[tuple[str, str, str]]:
    return [
        (part_name(*part), entry.fingerprint, entry.written_at)
        for part, entry in contents.ledger.items()
        if part[0] in _FINGERPRINTED and entry.status == "done"
    ]
