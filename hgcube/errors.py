"""Errors in three short parts: what was expected, what was got, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class HgcubeError(Exception):
    """Base of all errors that a user can mend.

    Parameters
    ----------
    expected : str
        What would have been right.
    got : str
        What was found instead, with values and dims.
    do : str
        What mends it, in the imperative.
    """

    def __init__(self, expected: str, got: str, do: str) -> None:
        super().__init__(expected, got, do)
        self.expected, self.got, self.do = expected, got, do

    def __str__(self) -> str:
        """Return the three parts as three sentences."""
        end = "" if self.do.endswith(("?", "!")) else "."
        return f"Expected {self.expected}. Got {self.got}. {self.do}{end}"


class CubeError(HgcubeError, ValueError):
    """A cube does not meet its spec."""


class OptionError(HgcubeError, ValueError):
    """An argument has a value that the function cannot work with."""


class SourceError(HgcubeError, OSError):
    """A recording or side-car file is missing, unreadable or contradicts itself."""


class SettingsError(HgcubeError, ValueError):
    """study.toml asks for something that does not exist or does not fit."""


class StoreError(HgcubeError, OSError):
    """A store cannot be opened, written or trusted."""


class MissingExtraError(HgcubeError, ImportError):
    """An optional dependency or model file is not here."""


class UnknownLabelError(HgcubeError, KeyError):
    """A label, name or registry key that does not exist."""

    @classmethod
    def of(cls, what: str, got: object, known: Iterable[object]) -> UnknownLabelError:
        """Build the error, naming the closest known labels.

        Parameters
        ----------
        what : str
            Kind of label, e.g. ``"region"``.
        got : object
            The label that was not found.
        known : iterable
            All labels that exist.

        Returns
        -------
        UnknownLabelError
        """
        labels = [str(label) for label in known]
        return cls(f"a known {what}", repr(got), f"Did you mean {closest(str(got), labels)}?")


def closest(name: str, known: Iterable[str]) -> str:
    """Return the known names closest to `name`, or the first few when none is close.

    Parameters
    ----------
    name : str
    known : iterable of str

    Returns
    -------
    str
        Up to eight names, comma-separated and quoted.
    """
    labels = list(dict.fromkeys(known))
    folded = {label.casefold(): label for label in labels}
    near = [folded[match] for match in get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)]
    return ", ".join(repr(label) for label in near or labels[:8]) or "nothing: there is none"
