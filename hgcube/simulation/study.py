"""The public entry: check, then write one subject after the other."""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hgcube.errors import HgcubeError, OptionError, SourceError
from hgcube.simulation import sidecars, signals
from hgcube.simulation.design import DEFAULT_ROLES, Design, electrode_counts
from hgcube.simulation.nwb import nwb_file, write_audio, write_electrodes, write_stimulus
from hgcube.simulation.truth import (
    ACOUSTICS,
    Features,
    acoustic_scores,
    component_scores,
    plant,
    word_gains,
)
from hgcube.simulation.voice import band_of_audio, speak
from hgcube.simulation.words import draw_words, samples_of_run

logger = logging.getLogger("hgcube")

_BLOCK = 16
# On disk per sample: a reference of 16 bytes, and texts with their heap's headers.
_STIMULUS_BYTES = 64
_FULL_SCALE = 2**15 - 1
_LOUDNESS = 0.08
_ROOM_NOISE = 1e-3
_AUDIO_SHORTER = 0.001
_PITCH = (95.0, 135.0)


def simulate(  # noqa: PLR0913
    dest: str | Path,
    *,
    n_subjects: int = 10,
    n_words: int = 100,
    n_electrodes: int | Sequence[int] | None = None,
    sampling_frequency: float = 1024.0,
    audio_frequency: float = 48_000.0,
    word_duration: float = 2.0,
    fixation_duration: float = 1.0,
    runs: int = 1,
    line_frequency: float = 50.0,
    seed: int = 0,
    features: xr.DataArray | Mapping[str, xr.DataArray] | None = None,
    skill: float = 0.2,
    n_components: int = 3,
    roles: Mapping[str, float] | None = None,
    word_variability: float = 0.15,
    drift: float = 0.0,
    order_effect: float = 0.0,
    late_words: float = 0.02,
    unspoken_words: int = 0,
    bad_electrodes: float = 0.05,
    overwrite: bool = False,
) -> Path:
    """Write an iBIDS study with NWB files whose truth is known.

    The files have the names, tables and units of SingleWordProductionDutch (Verwoert et al.
    2022): the screen shows a word and then a cross, the participant reads aloud, depth
    electrodes and audio are recorded. What is planted in each electrode and word goes to
    ``derivatives/hgcube-simulation``; hgcube's analysis never reads it.

    Parameters
    ----------
    dest : path
        Folder that does not exist or is empty.
    n_subjects : int
        Each subject depends on `seed` and its own number only.
    n_words : int
        Unique within a subject, drawn from `hgcube.simulation.DUTCH_WORDS`. Subject 10 stopped
        after 95 % of them.
    n_electrodes : int or sequence of int, optional
        For all subjects, or for each. By default the study's own 54-127 (1,103 in all).
    sampling_frequency, audio_frequency : float
        In Hz; at least 400 and 2,000.
    word_duration, fixation_duration : float
        Seconds of word and cross; together at least 1. With less than 3 the delays of the
        voice shrink in proportion.
    runs : int
        The words are read in so many files.
    line_frequency : float
        In Hz; 50 or 60 in reality.
    seed : int
        The same options and seed give the same bytes.
    features : xarray.DataArray, or mapping of subject to one, optional
        Dims (word, feature), coord `text`; words are looked up by text. Embedding electrodes
        follow its leading principal components (z-scored features, all words of the cube).
        Without it those electrodes are silent.
    skill : float
        Mean oracle skill of planted electrodes, which spread from half to one and a half of
        it (less above .5): the share of variance across words of the mean log envelope
        (70-170 Hz, 0-0.5 s after voice onset) that the true word-related part explains, the
        sampling noise of the envelope included.
    n_components : int
        Principal components; each counts half as much as the one before.
    roles : mapping of str to float, optional
        Shares of ``silent``, ``onset``, ``embedding``, ``acoustic`` and ``contaminated``
        electrodes, which sum to 1; see `hgcube.simulation.DEFAULT_ROLES`.
    word_variability : float
        Standard deviation across words of a log gain that nothing explains, in all electrodes.
    drift : float
        Standard deviation over the session of a slow log gain in each electrode.
    order_effect : float
        Log gain of the last word over that of the first, in all electrodes.
    late_words : float
        Share of words said three times as late as the others.
    unspoken_words : int
        Words that are shown but never said.
    bad_electrodes : float
        Share of electrodes that are flat or very noisy; every other one is marked so.
    overwrite : bool
        Replace a previous simulation in `dest`; anything else there is left alone.

    Returns
    -------
    pathlib.Path
        `dest`.

    Raises
    ------
    OptionError
        If an option is out of range, `dest` holds something else, or features lack words.
    UnknownLabelError
        If a role, or a subject of a mapping of features, does not exist.
    SourceError
        If the disk refuses.

    References
    ----------
    Verwoert et al. (2022), Scientific Data 9:434. The sampling noise of the envelope is derived
    in `hgcube.simulation.signals.envelope_variance`.

    Examples
    --------
    >>> import hgcube, tempfile
    >>> folder = hgcube.simulate(
    ...     tempfile.mkdtemp(), n_subjects=1, n_electrodes=4, n_words=5, audio_frequency=8000
    ... )
    >>> sorted(path.name for path in folder.iterdir())[-1]
    'sub-01'
    """
    design = Design(
        n_subjects=n_subjects,
        n_words=n_words,
        n_electrodes=electrode_counts(n_electrodes, n_subjects),
        sampling_frequency=sampling_frequency,
        audio_frequency=audio_frequency,
        word_duration=word_duration,
        fixation_duration=fixation_duration,
        seed=seed,
        skill=skill,
        roles=dict(DEFAULT_ROLES if roles is None else roles),
        n_components=n_components,
        word_variability=word_variability,
        drift=drift,
        order_effect=order_effect,
        late_words=late_words,
        unspoken_words=unspoken_words,
        bad_electrodes=bad_electrodes,
        line_frequency=line_frequency,
        runs=runs,
    )
    subjects = {label: _Subject(design, label, features) for label in design.subjects}
    root = Path(dest)
    with _disk_errors(root):
        _clear(root, overwrite)
        sidecars.write_description(root)
        sidecars.write_truth_description(root, asdict(design))
        for subject in subjects.values():
            subject.write(root)
        # Last: who finds it knows that the study is whole.
        sidecars.write_participants(root, design)
    return root


class _Subject:
    """Words, electrodes and gains of one subject; signals are made while they are written."""

    def __init__(self, design: Design, label: str, features: Features | None) -> None:
        self.design, self.label = design, label
        self.words = draw_words(design, label)
        scores = {"acoustic": acoustic_scores(self.words)}
        if features is not None:
            texts = self.words["text"].tolist()
            scores["embedding"] = component_scores(features, label, texts, design.n_components)
        self.contacts, self.truth = plant(design, label, scores)
        self.gains = word_gains(self.truth, scores, design, label)
        self.scores = scores
        if features is None:
            lost = round(design.roles.get("embedding", 0) * len(self.truth))
            logger.info("sub-%s: no features, %d embedding electrodes left silent", label, lost)

    def write(self, root: Path) -> None:
        """Write all files of the subject below `root`."""
        folder = root / f"sub-{self.label}" / "ieeg"
        folder.mkdir(parents=True)
        stem = f"sub-{self.label}_task-{sidecars.TASK}"
        rng = self.design.rng(self.label, "rows")
        sidecars.write_space(folder / stem, self.contacts, rng)
        channels = sidecars.channels_table(
            self.contacts, self.truth, self.design.sampling_frequency
        )
        for run, words in self.words.groupby("run"):
            name = stem if self.design.runs == 1 else f"{stem}_run-{run}"
            sidecars.write_run_tables(folder / name, words, channels, self.design)
            self._write_recording(folder / name, int(str(run)), words)
        sidecars.write_truth(root, self.label, self.truth, self._word_truth())
        logger.info("sub-%s: %d electrodes, %d words", self.label, len(self.truth), len(self.words))

    def _write_recording(self, stem: Path, run: int, words: pd.DataFrame) -> None:
        rate = self.design.sampling_frequency
        n_samples = samples_of_run(words, rate)
        shape = (n_samples, len(self.truth))
        sidecars.write_recording_json(stem, self.design, shape[1], n_samples)
        rng = self.design.rng(self.label, "voice", run)
        sound, leak = _record_voice(words, self.design, n_samples, rng)
        identifier = f"hgcube-simulation-{self.design.seed}/{stem.name}"
        path = stem.with_name(f"{stem.name}_ieeg.nwb")
        _assert_room(path, n_samples * (8 * shape[1] + _STIMULUS_BYTES) + sound.nbytes)
        with nwb_file(path, identifier) as file:
            write_electrodes(file, shape, rate, self._blocks(run, words, n_samples, leak))
            write_audio(file, sound, self.design.audio_frequency)
            starts = words["sample"]
            stops = starts + words["word_samples"]
            write_stimulus(file, words["text"], starts, stops, n_samples)

    def _blocks(
        self, run: int, words: pd.DataFrame, n_samples: int, leak: signals.Array
    ) -> Iterator[signals.Array]:
        """Yield the stored numbers in µV, up to 16 electrodes at a time."""
        design, n_electrodes = self.design, len(self.truth)
        span = (words["position"].iloc[0], words["position"].iloc[-1] + 1)
        basis = signals.make_basis(
            n_samples,
            design.sampling_frequency,
            design.line_frequency,
            (span[0] / len(self.words), span[1] / len(self.words)),
        )
        width = -(-n_electrodes // -(-n_electrodes // _BLOCK))
        for start in range(0, n_electrodes, width):
            rows = self.truth.iloc[start : start + width]
            block = np.empty((n_samples, len(rows)))
            for column, number in enumerate(rows.index):
                block[:, column] = self._electrode(int(number), run, words, basis, leak)
            yield block

    def _electrode(
        self, number: int, run: int, words: pd.DataFrame, basis: signals.Basis, leak: signals.Array
    ) -> signals.Array:
        electrode: Any = self.truth.loc[number]
        rng = self.design.rng(self.label, "signal", run, number)
        offset = rng.normal(0, 50)
        if electrode["bad_kind"] == "flat":
            return np.full(basis.n_samples, offset)
        signal = signals.neural_signal(basis, self._log_gain(number, words, basis), rng)
        if electrode["contamination"]:
            signal += electrode["contamination"] * leak
        signal *= electrode["amplitude"]
        signal += signals.line_noise(basis, electrode["line_amplitude"], rng)
        signal += offset + 30 * signals.slow_wave(basis, rng)
        if electrode["bad_kind"] == "noisy":
            signal += 200 * rng.standard_normal(basis.n_samples)
        return signal

    def _log_gain(self, number: int, words: pd.DataFrame, basis: signals.Basis) -> signals.Array:
        rate = self.design.sampling_frequency
        said = words[words["spoken"]]
        starts = np.rint(said["voice_onset"].to_numpy() * rate).astype(int)
        log_gain = np.zeros(basis.n_samples)
        if self.design.drift:
            rng = self.design.rng(self.label, "drift", number)
            log_gain += self.design.drift * signals.slow_wave(basis, rng)
        sizes = self.gains[number, said["position"].to_numpy()]
        signals.add_locked(log_gain, *signals.word_kernel(rate), starts, sizes)
        response = np.full(len(starts), self.truth["response_gain"].iloc[number])
        if response.any():
            signals.add_locked(log_gain, *signals.onset_kernel(rate), starts, response)
        return log_gain

    def _word_truth(self) -> pd.DataFrame:
        words = self.words.copy()
        for role, score in self.scores.items():
            names = [f"z_{name}" for name in ACOUSTICS]
            if role == "embedding":
                names = [f"component_{number + 1}" for number in range(score.shape[1])]
            words[names] = score
        return words


def _record_voice(
    words: pd.DataFrame, design: Design, n_samples: int, rng: np.random.Generator
) -> tuple[np.ndarray[Any, np.dtype[np.int16]], signals.Array]:
    """Return the audio of one run, and what of it leaks into contaminated electrodes.

    The leak is the band 70-170 Hz at the rate of the electrodes, with a standard deviation of 1
    while a word of mean loudness is said.
    """
    rate, audio_rate = design.sampling_frequency, design.audio_frequency
    n_audio = int((n_samples / rate - _AUDIO_SHORTER) * audio_rate)
    audio = rng.standard_normal(n_audio, dtype=np.float32)
    audio *= _ROOM_NOISE
    leak = np.zeros(n_samples)
    said = words[words["spoken"]]
    word: Any
    for word in said.itertuples():
        pitch = rng.uniform(*_PITCH)
        sound = speak(str(word.text), float(word.voice_duration), pitch, audio_rate, rng)
        sound *= np.exp(word.loudness)
        start = round(float(word.voice_onset) * audio_rate)
        piece = audio[start : start + len(sound)]
        piece += _LOUDNESS * sound[: len(piece)]
        _add_leak(leak, sound, start / audio_rate, design)
    loud = np.abs(leak) > 0
    leak /= np.sqrt(np.mean(leak[loud] ** 2)) if loud.any() else 1.0
    np.clip(audio, -1, 1, out=audio)
    audio *= _FULL_SCALE
    return audio.astype(np.int16), leak


def _add_leak(leak: signals.Array, sound: signals.Array, start: float, design: Design) -> None:
    margin, rate = 0.1, design.sampling_frequency
    inside = band_of_audio(sound, design.audio_frequency, signals.BAND, margin)
    seconds = start - margin + np.arange(len(inside)) / design.audio_frequency
    first, last = np.ceil(seconds[[0, -1]] * rate).astype(int)
    samples = np.arange(max(first, 0), min(last, len(leak)))
    leak[samples] += np.interp(samples / rate, seconds, inside)


def _clear(root: Path, overwrite: bool) -> None:
    """Make `root` an empty folder, or one without the files of a previous simulation."""
    root.mkdir(parents=True, exist_ok=True)
    if not any(root.iterdir()):
        return
    if not (overwrite and sidecars.is_simulation(root)):
        raise OptionError(
            "a folder that does not exist or is empty",
            f"{root}, which holds {sorted(path.name for path in root.iterdir())[:5]}",
            "Choose another folder (overwrite=True replaces a previous simulation only)",
        )
    (root / "participants.tsv").unlink(missing_ok=True)
    for folder in [*root.glob("sub-*"), root / sidecars.DERIVATIVE]:
        shutil.rmtree(folder, ignore_errors=True)


def _assert_room(path: Path, needed: int) -> None:
    """Refuse beforehand what does not fit: HDF5 crashes on a full disk."""
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise OSError(
            errno.ENOSPC, f"{free / 1e6:.0f} MB free, about {needed / 1e6:.0f} MB needed", str(path)
        )


@contextmanager
def _disk_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except HgcubeError:
        raise
    except OSError as error:
        raise SourceError(
            f"a folder {root} that can be written",
            str(error),
            "Free space, or choose another folder",
        ) from error
