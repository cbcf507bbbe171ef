"""Controls made from another embedding: vectors of other words, and the sound of other speakers."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.embeddings.making import embedder_of
from hgcube.embeddings.protocol import Item, Vectors, register
from hgcube.embeddings.sounds import spoken
from hgcube.embeddings.vectors import made_vectors
from hgcube.errors import CubeError, OptionError, SourceError


class _Control:
    """Another embedding, with other items than the words' own."""

    def __init__(self, of: Mapping[str, Any]) -> None:
        self._inner = embedder_of(of)
        self.control_of = str(of.get("space", of["family"]))

    @property
    def layers(self) -> tuple[int, ...]:
        """Return those of the other embedding."""
        return self._inner.layers

    def vectors(self, items: Sequence[Item]) -> Vectors:
        """Return what the other embedding makes of these items, with all that it says of them."""
        return made_vectors(self._inner, items)


@register("mismatched")
class Mismatched(_Control):
    """Another embedding with each word's vector given to another word.

    Every word gets the vector of another one, of another text as long as no text is more than half
    of all words; which one is drawn from the seed and the texts. Words without an item of their
    own stay without one.

    Parameters
    ----------
    of : mapping
        ``family``, its options, and ``space``, the name of the space that this one controls.
    seed : int
        Of the draw.

    Raises
    ------
    OptionError, UnknownLabelError
        If `of` is no embedding.
    """

    def __init__(self, *, of: Mapping[str, Any], seed: int = 0) -> None:
        super().__init__(of)
        self._seed = seed

    @property
    def hears(self) -> bool:
        """Return whether the other embedding does."""
        return self._inner.hears

    def items(self, words: xr.DataArray, audio: xr.DataArray | None) -> list[Item]:
        """Return the other embedding's items, each in another word's place.

        Raises
        ------
        CubeError
            If fewer than two texts could be exchanged.
        """
        items = self._inner.items(words, audio)
        usable = [place for place, item in enumerate(items) if not item.flag]
        texts = [str(words.values[place]) for place in usable]
        if usable and len(set(texts)) < 2:
            raise CubeError(
                "words of two or more texts to give each the vector of another",
                f"{len(set(texts))} among {len(usable)} words that have one",
                "Leave the control out",
            )
        given = list(items)
        for place, other in zip(usable, derangement(texts, self._seed), strict=True):
            given[place] = items[usable[other]]
        return given

    def provenance(self) -> dict[str, str]:
        """Return what the other embedding says, and the draw."""
        return {
            **self._inner.provenance(),
            "control": f"each word has the vector of another word, seed {self._seed}",
        }

    def files(self) -> tuple[Path, ...]:
        """Return those of the other embedding."""
        return self._inner.files()


def derangement(texts: Sequence[str], seed: int) -> list[int]:
    """Return another place for each, of another text where no text is more than half of all.

    The texts are put on a circle in an order drawn from the seed, equal ones side by side, and each
    takes what lies as far ahead as the most frequent text is long.

    Parameters
    ----------
    texts : sequence of str
    seed : int

    Returns
    -------
    list of int
        A permutation without a fixed place.

    Examples
    --------
    >>> derangement(["a", "b"], seed=0)
    [1, 0]
    """
    unique, counts = np.unique(np.array(texts, dtype=str), return_counts=True)
    drawn = np.random.default_rng(seed).permutation(len(unique))
    rank = dict(zip(unique[drawn].tolist(), range(len(unique)), strict=True))
    circle = sorted(range(len(texts)), key=lambda place: rank[texts[place]])
    ahead = int(counts.max(initial=0))
    given = [0] * len(texts)
    for position, place in enumerate(circle):
        given[place] = circle[(position + ahead) % len(circle)]
    return given


@register("another_speaker")
class AnotherSpeaker(_Control):
    """A speech embedding that hears the same words from somebody else.

    Parameters
    ----------
    of : mapping
        ``family`` of an embedding that hears, its options, and ``space``, the name of the space
        that this one controls.
    sounds : path, optional
        Folder of recordings ``TEXT.wav``, such as a synthetic voice's. Silence is assumed before
        and after each; its voice is located as in the recordings.
    speaker : xarray.Dataset, optional
        Recording set of another subject, with ``words`` and ``audio``; the first of several equal
        words that can be heard is taken. In study.toml, the label of a recording.

    Raises
    ------
    OptionError
        Without exactly one of the two, or if the embedding does not hear.
    SourceError
        If `sounds` is no folder.
    """

    hears = False

    def __init__(
        self,
        *,
        of: Mapping[str, Any],
        sounds: str | Path | None = None,
        speaker: xr.Dataset | str | None = None,
    ) -> None:
        super().__init__(of)
        if (sounds is None) == (speaker is None):
            raise OptionError(
                "either 'sounds', a folder of WAV files, or 'speaker', a recording",
                "both" if sounds is not None else "neither",
                "Give one",
            )
        if not self._inner.hears:
            raise OptionError(
                "an embedding that hears the words", repr(of["family"]), "Control another one"
            )
        self._speaker = speaker
        self._folder = None if sounds is None else Path(sounds).expanduser()
        if self._folder is not None and not self._folder.is_dir():
            raise SourceError(
                "a folder of WAV files", f"no folder {self._folder}", "Correct 'sounds'"
            )

    def items(self, words: xr.DataArray, audio: xr.DataArray | None) -> list[Item]:
        """Return the sound of the same texts from elsewhere.

        Words that are not there are flagged ``"not said by the other speaker"``, files that cannot
        be heard as `sounds.spoken` says. All are flagged ``"the same speaker"`` if the recording
        is that of the words.
        """
        if self._folder is None and self._is_own(words, audio):
            return [Item(flag="the same speaker")] * words.sizes[n.WORD]
        texts = [_key(text) for text in words.values.tolist()]
        said = self._of_files(texts) if self._folder is not None else self._of_speaker()
        nothing = Item(flag="not said by the other speaker")
        return [said.get(text, nothing) for text in texts]

    def _of_files(self, texts: Sequence[str]) -> dict[str, Item]:
        paths = {_key(path.stem): path for path in self.files() if path.suffix.lower() == ".wav"}
        found = {}
        for text in dict.fromkeys(texts):
            if text in paths:
                found[text] = self._of_file(paths[text])
        return found

    def _of_file(self, path: Path) -> Item:
        heard = spoken(path)
        if isinstance(heard, str):
            return Item(flag=heard)
        return self._inner.items(heard["words"], heard["audio"])[0]

    def _of_speaker(self) -> dict[str, Item]:
        """Return items of all that is said, as the displays of other words end a word's voice."""
        words, audio = self._recording()["words"], self._recording()["audio"]
        found: dict[str, Item] = {}
        for text, item in zip(words.values.tolist(), self._inner.items(words, audio), strict=True):
            if _key(text) not in found or found[_key(text)].flag:
                found[_key(text)] = item
        return found

    def _is_own(self, words: xr.DataArray, audio: xr.DataArray | None) -> bool:
        there = self._recording()
        return audio is not None and words.equals(there["words"]) and audio.equals(there["audio"])

    def _recording(self) -> xr.Dataset:
        if not isinstance(self._speaker, xr.Dataset) or not {"words", "audio"} <= set(
            self._speaker
        ):
            raise OptionError(
                "a recording set with 'words' and 'audio' as 'speaker'",
                repr(self._speaker)
                if isinstance(self._speaker, str)
                else f"{type(self._speaker).__name__} without them",
                "Pass another subject's recording",
            )
        return self._speaker

    def provenance(self) -> dict[str, str]:
        """Return what the other embedding says, and who is heard."""
        if self._folder is not None:
            who = f"the files of {self._folder.name}"
        else:
            attrs = getattr(self._speaker, "attrs", {})
            who = f"the recording {attrs.get('recording', attrs.get(n.SUBJECT, 'not named'))}"
        return {**self._inner.provenance(), "control": f"the same words as heard in {who}"}

    def files(self) -> tuple[Path, ...]:
        """Return those of the other embedding, and all sounds."""
        sounds = [] if self._folder is None else sorted(self._folder.iterdir())
        wavs = [path for path in sounds if path.suffix.lower() == ".wav" and path.is_file()]
        return (*self._inner.files(), *wavs)


def _key(text: object) -> str:
    return unicodedata.normalize("NFC", str(text)).strip().casefold()
