"""Epochs -> MNE, for those who go on there."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.errors import CubeError
from hgcube.schema import bad_electrodes, check


def epochs_to_mne(epochs: xr.DataArray) -> Any:
    """Turn single-word epochs into MNE's, one event type per text.

    Parameters
    ----------
    epochs : xarray.DataArray
        (word, electrode, lag) with `text` and `onset` (s); lags evenly spaced. Loaded here.

    Returns
    -------
    mne.EpochsArray
        High gamma as stored, whatever its unit; all word coordinates are in ``metadata``.

    Raises
    ------
    CubeError
        Without lags, or with fewer than two.
    """
    import mne

    check(epochs, "epochs")
    if epochs.sizes.get(n.LAG, 0) < 2:
        raise CubeError(
            "epochs with lags", f"dims {dict(epochs.sizes)}", "Use the target 'windows'"
        )
    lags = epochs[n.LAG].values
    rate = 1 / float(np.mean(np.diff(lags)))
    names = [str(label) for label in epochs[n.ELECTRODE].values]
    info = mne.create_info(names, rate, "seeg", verbose="ERROR")
    info["bads"] = [str(name) for name in epochs[n.ELECTRODE].values[bad_electrodes(epochs)]]
    texts = [str(text) for text in epochs[n.TEXT].values]
    codes = {text: code for code, text in enumerate(dict.fromkeys(texts), start=1)}
    events = np.array([(row, 0, codes[text]) for row, text in enumerate(texts)], dtype=int)
    return mne.EpochsArray(
        epochs.transpose(n.WORD, n.ELECTRODE, n.LAG).values.astype(np.float64),
        info,
        events,
        tmin=float(lags[0]),
        event_id=codes,
        metadata=_metadata(epochs),
        verbose="ERROR",
    )


def epochs_to_fif(epochs: xr.DataArray, path: str | Path) -> Path:
    """Write single-word epochs as a FIF file; see `epochs_to_mne`.

    Parameters
    ----------
    epochs : xarray.DataArray
    path : path
        Ends in ``.fif``; MNE wishes ``-epo.fif``.

    Returns
    -------
    pathlib.Path
    """
    with warnings.catch_warnings():
        # MNE's wish about file names is not the user's concern.
        warnings.filterwarnings("ignore", message="This filename")
        epochs_to_mne(epochs).save(path, overwrite=True, verbose="ERROR")
    return Path(path)


def _metadata(epochs: xr.DataArray) -> Any:
    import pandas as pd

    columns = {
        str(name): coord.values.tolist()
        for name, coord in epochs.coords.items()
        if coord.dims == (n.WORD,)
    }
    return pd.DataFrame(columns)
