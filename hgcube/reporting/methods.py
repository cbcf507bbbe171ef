"""The methods in words, from the settings of the study."""

from __future__ import annotations

from typing import Any

from hgcube.config import Analysis, Epochs, Signal, SolverSettings
from hgcube.reporting.contents import Contents

TOY = ("toy", "template", "untrained", "random", "nothing")


def methods(analysis: Analysis, level: float) -> list[str]:
    """Return the methods as sentences, one paragraph each.

    Parameters
    ----------
    analysis : Analysis
        Settings of the study.
    level : float
        Of the verdicts.

    Returns
    -------
    list of str
    """
    return [
        _signal(analysis.signal),
        _epochs(analysis.epochs),
        _encoding(analysis),
        *(_solver(name, solver) for name, solver in analysis.encoding.enabled.items()),
        _inference(analysis, level),
    ]


def banners(contents: Contents) -> list[str]:
    """Return plain warnings: an empty store, or what the page must not be mistaken for."""
    found = []
    if not contents.ledger:
        name = contents.store.resolve().name
        found.append(f"This store is empty: no step has run. Start with: hgcube run {name}")
    if contents.simulated:
        found.append("The recordings are simulated: nothing here is about a real brain.")
    for space, about in contents.about.items():
        trained_on = str(about.get("trained_on", ""))
        if any(word in trained_on.casefold() for word in TOY):
            found.append(f"The embedding {space} was trained on: {trained_on}.")
    return [*found, *contents.notes]


def _signal(signal: Signal) -> str:
    low, high = signal.band
    windows = (
        f"averaged in {signal.window * 1e3:g} ms windows every {signal.step * 1e3:g} ms"
        if signal.window and signal.step
        else "not averaged in windows"
    )
    log = "natural logarithm taken" if signal.log else "no logarithm"
    auto = signal.reference == "auto"
    reference = "bipolar where the names allow it, else none" if auto else signal.reference
    scale = "of the numbers as stored" if signal.as_stored else "in volts"
    notch = "before" if signal.notch == "first" else "after"
    return (
        f"High gamma {scale}, re-reference {reference}, "
        f"{low:g}-{high:g} Hz, Butterworth order {signal.order}, line harmonics stopped {notch} "
        f"the band-pass, Hilbert envelope, {windows}, {log}."
    )


def _epochs(epochs: Epochs) -> str:
    baseline = (
        "no baseline"
        if epochs.baseline is None
        else f"baseline {epochs.baseline[0]:g} to {epochs.baseline[1]:g} s before display"
    )
    return (
        f"Epochs: locked to the {epochs.lock} onset; one number per electrode and word over "
        f"{epochs.mean[0]:g} to {epochs.mean[1]:g} s, windows from {epochs.lags[0]:g} to "
        f"{epochs.lags[1]:g} s every {epochs.step * 1e3:g} ms; {baseline}."
    )


def _encoding(analysis: Analysis) -> str:
    encoding = analysis.encoding
    spaces = ", ".join(analysis.embeddings) or "none"
    return (
        f"Encoding: target {encoding.target}, folds {encoding.folds}, embeddings {spaces}; "
        f"references on the same folds: {', '.join(encoding.references)}; "
        f"{encoding.order_terms} cosine terms of reading order."
    )


def _solver(name: str, solver: SolverSettings) -> str:
    scaling = {"fold": "scaled in each fold", "all_words": "scaled on all words"}
    scaled = scaling.get(str(solver.standardize), "not scaled")
    if solver.components is not None:
        scaled += f", then components ({solver.components:g}) fitted in each fold"
    ratio = f", l1_ratio {_listed(solver.l1_ratio)}" if name != "ridge" else ""
    return f"Estimator {name}: {_penalty(solver)}{ratio}, features {scaled}, {_nulls(solver)}."


def _penalty(solver: SolverSettings) -> str:
    if isinstance(solver.alpha, float):
        return f"penalty alpha {solver.alpha:g}"
    inner = solver.inner if isinstance(solver.inner, str) else f"{solver.inner} inner folds"
    among = "" if solver.alpha is None else f" among alpha {_listed(solver.alpha)}"
    return f"penalty chosen inside each fold{among}, by {inner}, for each {solver.choose}"


def _listed(values: float | tuple[float, ...]) -> str:
    stated = values if isinstance(values, tuple) else (values,)
    return ", ".join(f"{value:g}" for value in stated)


def _nulls(solver: SolverSettings) -> str:
    if not solver.permutations:
        return "no permutations"
    how = {
        "fixed": "each refitted at one penalty fixed beforehand",
        "nested": "every choice made again in each",
    }
    return f"{solver.permutations} permutations, {how[solver.null]}"


def _inference(analysis: Analysis, level: float) -> str:
    return (
        f"Inference at {level:g}: words permuted in blocks of {analysis.encoding.block}, p "
        "adjusted within a subject by the maximum of the studentised fold-corrected r over "
        "electrodes; "
        "subjects selected by Benjamini-Hochberg over all subjects and embeddings; electrodes "
        "read only inside selected subjects (Benjamini and Bogomolov 2014). Intervals of skill "
        "are jackknives over words and cover less than the stated .95. Skill is "
        "1 - SS(model) / SS(mean word) over held-out words. Scores across electrodes are those "
        "of arXiv 2505.14074 and are high for the mean word alone."
    )


def facts(contents: Contents) -> list[tuple[str, Any]]:
    """Return versions, seed and counts for the foot of the page."""
    versions = sorted({entry.hgcube_version for entry in contents.ledger.values()})
    return [
        ("hgcube that wrote the parts", ", ".join(versions) or "none"),
        ("seed of the study", contents.analysis.seed),
        ("parts in the ledger", len(contents.ledger)),
    ]
