from __future__ import annotations

from pathlib import Path

from hgcube.config import Analysis, Execution
from hgcube.pipeline.study import Study


def test_a_model_beside_the_study_is_found(tmp_path: Path) -> None:
    (tmp_path / "m.bin").touch()
    embeddings = {
        "near": {"family": "fasttext", "model": "m.bin"},
        "fasttext": {"model": "elsewhere.bin"},
    }
    study = Study(tmp_path, Analysis(embeddings=embeddings), Execution())
    near, far = study.stated.embedding("near"), study.stated.embedding("fasttext")
    assert near == ("fasttext", {"model": str(tmp_path / "m.bin")})
    assert far == ("fasttext", {"model": "elsewhere.bin"})
    assert study.analysis.embeddings == embeddings
