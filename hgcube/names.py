"""Every dimension, coordinate, variable and unit, one name per thing."""

from __future__ import annotations

# Dimensions
ELECTRODE = "electrode"
TIME = "time"
AUDIO_TIME = "audio_time"
WORD = "word"
LAG = "lag"
FEATURE = "feature"
SPACE = "space"
SOLVER = "solver"
PREDICTOR = "predictor"
FOLD = "fold"
PERMUTATION = "permutation"
COEFFICIENT_FOLD = "coefficient_fold"
NULL = "null"
QUANTILE = "quantile"
SUBJECT = "subject"

# Coordinates of `electrode`
NAME = "name"
TYPE = "type"
STATUS = "status"
GROUP = "group"
HEMISPHERE = "hemisphere"
REGION = "region"
REFERENCE = "reference"
ANODE = "anode"
CATHODE = "cathode"
ELECTRODE_SUBJECT = "electrode_subject"
STORED_SCALE = "stored_scale"
BAD = "bad"
BAD_REASON = "bad_reason"

# Coordinates of `word`
TEXT = "text"
ONSET = "onset"
DURATION = "duration"
VOICE_ONSET = "voice_onset"
FLAG = "flag"
POSITION = "position"

# Coordinates of `feature`, and scalar ones of `features`
BAND = "band"
EMBEDDING = "embedding"
LAYER = "layer"
DEPTH = "depth"
CONTROL_OF = "control_of"

# Attributes
SAMPLING_FREQUENCY = "sampling_frequency"
AUDIO_TIME_START = "audio_time_start"
LINE_FREQUENCY = "line_frequency"
SIMULATED = "simulated"

# Labels of `predictor` and `null`
MODEL = "model"
MEAN_WORD = "mean_word"
ORDER = "order"
PREVIOUS_WORD = "previous_word"
ORDER_ADJUSTED = "order_adjusted"
PLAIN = "plain"
ALL_WORDS = "all_words"

# Units
VOLT = "V"
SECOND = "s"
METRE = "m"
DIMENSIONLESS = "1"
LOG_VOLT = "ln(V)"
LOG_RATIO = "ln(V/V)"
STORED_UNITS = "as stored"
LOG_STORED = "ln(as stored)"
