"""Similarity of words, one panel a space."""

from itertools import pairwise

import numpy as np
import pytest
import xarray as xr

from hgcube import views
from hgcube.errors import CubeError
from hgcube.schema import text_array
from hgcube.views.similarity import similarity

hv = pytest.importorskip("holoviews")

TEXTS = ["boot", "huis", "maan", "boot", "wolk", "ster"]


def space(name, rng, *, level=0.0, texts=TEXTS, control_of=""):
    values = rng.standard_normal((len(texts), 20)).astype(np.float32) + level
    values[3] = values[0]
    return xr.DataArray(
        values,
        dims=("word", "feature"),
        coords={
            "word": np.arange(len(texts)),
            "text": ("word", text_array(texts)),
            "space": text_array(name),
            "control_of": text_array(control_of),
        },
    )


def shown(image):
    ticks = dict(image.opts.get("plot", backend="matplotlib").kwargs["yticks"])
    return [ticks[place] for place in range(len(ticks))], image.dimension_values(2, flat=False)


def title(image):
    return image.opts.get("plot", backend="matplotlib").kwargs["title"].split("\n")


def test_each_panel_is_the_cosine_of_standardised_vectors_in_one_order(rng):
    spaces = [space("gpt2-3", rng, level=50.0), space("off", rng, control_of="gpt2-3")]
    layout = views.word_similarity(spaces)
    images = list(layout)
    assert [title(image)[0] for image in images] == ["gpt2-3", "off, control of gpt2-3"]
    assert [image.opts.get("plot").kwargs["colorbar"] for image in images] == [False, True]
    orders = [shown(image)[0] for image in images]
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == sorted(set(TEXTS))
    for cube, image in zip(spaces, images, strict=True):
        texts, drawn = shown(image)
        rows = cube.isel(word=[TEXTS.index(text) for text in texts]).values.astype(float)
        scaled = (rows - rows.mean(0)) / rows.std(0)
        units = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
        np.testing.assert_allclose(drawn, units @ units.T, atol=1e-5)
        pairs = drawn[np.triu_indices(5, 1)]
        assert pairs.min() < -0.2  # not all alike, whatever the level
        assert title(image)[1] == f"mean cosine {pairs.mean():.2f}"
    svg, _ = hv.renderer("matplotlib").instance(fig="svg")(layout, fmt="svg")
    assert "<svg" in svg


def test_like_words_stand_side_by_side(rng):
    texts = [f"{kind}{i}" for i in range(4) for kind in "abc"]
    kinds = {kind: rng.standard_normal(20) for kind in "abc"}
    values = np.array([kinds[text[0]] for text in texts]) + 0.1 * rng.standard_normal((12, 20))
    cube = xr.DataArray(
        values, dims=("word", "feature"), coords={"text": ("word", text_array(texts))}
    )
    order, cosines = shown(views.word_similarity(cube))
    groups = [text[0] for text in order]
    assert sum(a != b for a, b in pairwise(groups)) == 2
    assert cosines[0, 1] > 0.8


def test_words_without_vector_are_left_out_and_long_lists_cut(rng):
    one, two = space("a", rng), space("b", rng)
    two[1] = np.nan
    panel = next(iter(views.word_similarity([one, two])))
    assert set(shown(panel)[0]) == set(TEXTS) - {"huis"}
    assert title(panel)[1].endswith(", 1 without vector")
    few = views.word_similarity(one, most_words=3)
    assert set(shown(few)[0]) == {"boot", "huis", "maan"}
    assert title(few)[1].endswith(", 2 more words")


def test_titles_name_the_layer_of_a_family_that_has_layers(rng):
    for depth, begins in ((0.25, "layer 3, mean"), (np.nan, "mean")):
        cube = space("a", rng).assign_coords(layer=3, depth=depth)
        said = title(views.word_similarity(cube.assign_attrs(mean_cosine=0.998)))[1]
        assert said.startswith(begins)
        assert said.endswith(", raw 1.00")


def test_the_order_of_dims_does_not_matter(rng):
    one = space("a", rng)
    turned = views.word_similarity(one.transpose("feature", "word"))
    np.testing.assert_array_equal(shown(turned)[1], shown(views.word_similarity(one))[1])


def test_a_feature_that_does_not_vary_says_nothing(rng):
    vectors = rng.standard_normal((5, 4)).astype(np.float32)
    constant = np.full((5, 1), 1e6, np.float32)
    np.testing.assert_allclose(
        similarity(np.hstack([vectors, constant])), similarity(vectors), atol=1e-12
    )
    assert np.isfinite(similarity(np.ones((3, 2)))).all()


def test_other_words_and_too_few_are_refused(rng):
    with pytest.raises(CubeError, match="the same words"):
        views.word_similarity([space("a", rng), space("b", rng, texts=TEXTS[::-1])])
    with pytest.raises(CubeError, match="none"):
        views.word_similarity([])
    one = space("a", rng)
    one[1:] = np.nan
    with pytest.raises(CubeError, match="1 of 6"):
        views.word_similarity(one)
