"""Eigenvectors of XX', from which every penalty's residual maker M = I - H follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hgcube.kernels.designs import ROUNDING, Array


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """XX' in the complement of the unpenalised part.

    Parameters
    ----------
    vectors : (word, vector) float64
        All of the complement if X has as many features as that has dimensions, else only those
        that X spans: M keeps what they leave as it is.
    eigenvalues : (vector,) float64
    free : (word, term) float64
        Orthonormal basis of the unpenalised regressors.
    whole : bool
        The vectors span the whole complement.
    """

    vectors: Array
    eigenvalues: Array
    free: Array
    whole: bool

    @classmethod
    def of(cls, features: Array, unpenalized: Array) -> Spectrum:
        """Return the spectrum of features (word, feature) free of unpenalised ones (word, term)."""
        n_words, n_terms = unpenalized.shape
        if features.shape[1] >= n_words - n_terms:
            basis = np.linalg.qr(unpenalized, mode="complete")[0]
            half = basis[:, n_terms:].T @ features
            eigenvalues, inside = np.linalg.eigh(half @ half.T)
            return cls(
                vectors=basis[:, n_terms:] @ inside,
                eigenvalues=np.maximum(eigenvalues, 0.0),
                free=basis[:, :n_terms],
                whole=True,
            )
        free = np.linalg.qr(unpenalized)[0]
        vectors, singular, _ = np.linalg.svd(
            features - free @ (free.T @ features), full_matrices=False
        )
        real = singular > ROUNDING * np.abs(features).max(initial=0.0)
        return cls(
            vectors=vectors[:, real], eigenvalues=singular[real] ** 2, free=free, whole=False
        )

    def shrinkage(self, penalty: float) -> Array:
        """Return what M leaves of each vector, penalty / (eigenvalue + penalty)."""
        return np.asarray(penalty / (self.eigenvalues + penalty))

    def untouched(self, targets: Array, weights: Array) -> Array | float:
        """Return what neither X nor the unpenalised regressors reach.

        Parameters
        ----------
        targets : (word, target) float64
        weights : (vector, target) float64
            ``vectors.T @ targets``.
        """
        if self.whole:
            return 0.0
        fitted = self.free @ (self.free.T @ targets) + self.vectors @ weights
        return np.asarray(targets - fitted)

    def residual_maker(self, shrinkage: Array) -> Array:
        """Return M (word, word); that of the unpenalised regressors alone where it is all ones."""
        maker = (self.vectors * shrinkage) @ self.vectors.T
        return np.asarray(maker + self.untouched(np.eye(len(maker)), self.vectors.T))
