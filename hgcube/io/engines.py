"""xarray backend engines ``nwb-ieeg`` (one file) and ``ibids`` (a folder)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import xarray as xr
from xarray.backends import BackendEntrypoint

from hgcube.errors import UnknownLabelError
from hgcube.io.bids import find_recording, list_recordings


class NWBIEEGEntrypoint(BackendEntrypoint):
    """``xr.open_dataset(file, engine="nwb-ieeg")``: one NWB recording with its side-cars."""

    description = "intracranial EEG in NWB inside a BIDS folder (hgcube)"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "events")

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        events: str | Path | None = None,
    ) -> xr.Dataset:
        """Open a recording set.

        Parameters
        ----------
        filename_or_obj : path
            ``sub-XX_..._ieeg.nwb`` in its BIDS folder.
        drop_variables : str or iterable of str, optional
        events : path, optional
            Table of words for `hgcube.io.read_events`, in place of events.tsv and Stimulus.

        Returns
        -------
        xarray.Dataset
            ``ieeg`` (electrode, time) in V, ``audio`` (audio_time), ``words`` (word).
        """
        from hgcube.io.events import read_events
        from hgcube.io.recording import read_recording

        words = None if events is None else read_events(events)
        recording = read_recording(find_recording(filename_or_obj), events=words)
        return _without(recording, drop_variables)

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Return whether the name ends in ``_ieeg.nwb``."""
        return str(filename_or_obj).endswith("_ieeg.nwb")


class IBIDSEntrypoint(BackendEntrypoint):
    """``xr.open_datatree(root, engine="ibids")``: all intracranial recordings of a folder."""

    description = "BIDS folder with intracranial EEG (hgcube)"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "recording")
    supports_groups = True

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        recording: str | None = None,
    ) -> xr.Dataset:
        """Open one recording of the folder, the first by default.

        Parameters
        ----------
        filename_or_obj : path
            BIDS folder.
        drop_variables : str or iterable of str, optional
        recording : str, optional
            Label such as ``"01"``.

        Returns
        -------
        xarray.Dataset
        """
        from hgcube.io.recording import read_recording

        found = list_recordings(filename_or_obj)
        label = next(iter(found)) if recording is None else recording
        if label not in found:
            raise UnknownLabelError.of("recording", label, found)
        return _without(read_recording(found[label]), drop_variables)

    def open_groups_as_dict(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        task: str | None = None,
        subjects: Iterable[str] = (),
        events: str | None = None,
    ) -> dict[str, xr.Dataset]:
        """Open every recording of the folder.

        Parameters
        ----------
        filename_or_obj : path
            BIDS folder.
        drop_variables : str or iterable of str, optional
        task, subjects
            As `hgcube.io.list_recordings`.
        events : str, optional
            Own table of words, in which ``{subject}`` and ``{recording}`` are filled in.

        Returns
        -------
        dict of str to xarray.Dataset
            By label, sorted, and an empty root.
        """
        from hgcube.io.events import read_events
        from hgcube.io.recording import read_recording

        found = list_recordings(filename_or_obj, task=task, subjects=subjects)
        groups = {"/": xr.Dataset()}
        for label, files in found.items():
            own = None if events is None else read_events(files.filled(events))
            opened = read_recording(files, events=own)
            groups[f"/{label}"] = _without(opened, drop_variables)
        return groups

    def open_datatree(self, filename_or_obj: Any, **options: Any) -> xr.DataTree:
        """Open every recording as a child; see `open_groups_as_dict`."""
        groups = self.open_groups_as_dict(filename_or_obj, **options)
        return xr.DataTree.from_dict(groups)

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Return whether it is a folder with a dataset_description.json."""
        try:
            return (Path(filename_or_obj) / "dataset_description.json").is_file()
        except TypeError:
            return False


def _without(recording: xr.Dataset, names: str | Iterable[str] | None) -> xr.Dataset:
    if names is None:
        return recording
    close = recording._close
    kept = recording.drop_vars([names] if isinstance(names, str) else list(names), errors="ignore")
    kept.set_close(close)
    return kept
