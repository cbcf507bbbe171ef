"""Depth electrodes: shafts of contacts with Destrieux-like labels and ACPC coordinates."""

from __future__ import annotations

import numpy as np
import pandas as pd

_SPACING = 3.5

# Deep label, lateral label, deep end and lateral end in mm for the right hemisphere (ACPC).
_TRAJECTORIES = (
    ("Hippocampus", "ctx_{}_G_temporal_middle", (26, -12, -16), (66, -10, -14)),
    ("Amygdala", "ctx_{}_G_temp_sup-Lateral", (22, -2, -18), (62, 4, -10)),
    ("ctx_{}_G_insular_short", "ctx_{}_G_front_inf-Opercular", (36, 10, 2), (64, 16, 12)),
    ("ctx_{}_G_Ins_lg_and_S_cent_ins", "ctx_{}_G_and_S_subcentral", (38, -8, 4), (66, -6, 16)),
    ("ctx_{}_G_temp_sup-G_T_transv", "ctx_{}_G_temp_sup-Lateral", (38, -24, 8), (68, -22, 6)),
    ("ctx_{}_G_temp_sup-Plan_tempo", "ctx_{}_S_temporal_sup", (40, -36, 12), (66, -38, 4)),
    ("ctx_{}_S_central", "ctx_{}_G_precentral", (34, -18, 42), (58, -4, 40)),
    ("ctx_{}_G_and_S_cingul-Mid-Ant", "ctx_{}_G_front_middle", (6, 14, 36), (44, 26, 34)),
    ("ctx_{}_G_precuneus", "ctx_{}_G_pariet_inf-Angular", (8, -60, 36), (50, -62, 34)),
    ("ctx_{}_G_oc-temp_lat-fusifor", "ctx_{}_G_temporal_inf", (34, -46, -16), (62, -44, -16)),
    ("ctx_{}_G_orbital", "ctx_{}_G_front_inf-Triangul", (20, 30, -12), (54, 34, 4)),
    ("ctx_{}_S_calcarine", "ctx_{}_G_and_S_occipital_inf", (14, -80, 4), (46, -80, -2)),
)


def implant(n_electrodes: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return recorded contacts in file order, and spare ones that were not recorded.

    Parameters
    ----------
    n_electrodes : int
        Recorded contacts.
    rng : numpy.random.Generator

    Returns
    -------
    pandas.DataFrame
        Columns `name` ("LA1": hemisphere, shaft, contact from the deep end), `group`,
        `hemisphere`, `description` (label), `x`, `y`, `z` (mm) and `recorded`.
    """
    shafts: list[pd.DataFrame] = []
    order = rng.permutation(2 * len(_TRAJECTORIES))
    recorded = 0
    while recorded < n_electrodes:
        number = len(shafts)
        kind = int(order[number % len(order)])
        length = int(rng.integers(6, 15))
        kept = min(length, n_electrodes - recorded)
        shafts.append(_shaft(number, kind, length, rng).assign(recorded=np.arange(length) < kept))
        recorded += kept
    return pd.concat(shafts, ignore_index=True)


def _shaft(number: int, kind: int, length: int, rng: np.random.Generator) -> pd.DataFrame:
    hemisphere = "LR"[kind % 2]
    deep, lateral, start, end = _TRAJECTORIES[kind // 2]
    group = hemisphere + _letters(number)
    direction = (np.array(end) - start) / np.linalg.norm(np.array(end) - start)
    inner = np.array(start) + rng.normal(0, 2, 3)
    places = inner + _SPACING * np.arange(length)[:, None] * direction
    places *= [-1 if hemisphere == "L" else 1, 1, 1]
    depth = np.linspace(0, 1, length)
    labels = [_label(share, deep, lateral, hemisphere) for share in depth]
    table = pd.DataFrame(np.round(places, 2), columns=["x", "y", "z"])
    table.insert(0, "name", [f"{group}{contact}" for contact in range(1, length + 1)])
    return table.assign(group=group, hemisphere=hemisphere, description=labels)


def _label(share: float, deep: str, lateral: str, hemisphere: str) -> str:
    side = {"L": "Left", "R": "Right"}[hemisphere]
    if 0.35 < share < 0.55:
        return f"{side}-Cerebral-White-Matter"
    label = deep if share <= 0.35 else lateral
    return label.format(f"{hemisphere.lower()}h") if "{}" in label else f"{side}-{label}"


def _letters(number: int) -> str:
    """Return A ... Z, AA ... for shaft `number`."""
    first, last = divmod(number, 26)
    return (chr(64 + first) if first else "") + chr(65 + last)
