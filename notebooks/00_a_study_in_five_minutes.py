# %% [markdown]
# # A study in five minutes
#
# Run `hgcube demo` first. It simulates three people reading 100 Dutch words aloud, trains a toy
# FastText, and goes from the BIDS folder to verdicts. Nothing here is about a real brain.
#
# To use your own recordings: `hgcube init STORE --source BIDS_FOLDER`, name your embedding in
# `STORE/study.toml`, then `hgcube run STORE` and `hgcube report STORE`.

# %%
import os
from pathlib import Path

import hgcube

store = Path(os.environ.get("HGCUBE_DEMO", "hgcube-demo")) / "field"

# %% [markdown]
# ## What was found, in words

# %%
verdicts = hgcube.open_cube(store, "verdicts")
for subject in verdicts.subject.values:
    print(subject, verdicts.verdict.sel(subject=subject, space="fasttext").item())

# %% [markdown]
# ## The paper's score beside its reference
#
# r across electrodes is high for the mean of the other words too: electrodes differ in level, and
# that is all it needs. What the embedding adds is the skill.

# %%
words = hgcube.open_results(store, by="word")
r = words.r_across_electrodes.sel(space="fasttext", solver="ridge").mean("word")
print(r.to_series())

# %% [markdown]
# ## Electrodes, by labels

# %%
electrodes = hgcube.open_results(store, by="electrode").hg.sel(solver="ridge", predictor="model")
first = str(electrodes.subject.values[0])
skill = electrodes.hg.sel(subject=first).skill.squeeze().to_series()
print(skill.sort_values().tail())

# %% [markdown]
# ## Look at one electrode

# %%
epochs = hgcube.open_cube(store, "epochs", subject=first, target="windows")
picture = hgcube.views.envelope(epochs.hg.sel(electrode=skill.idxmax()).load())
picture
