"""How far groups differ beyond what luck makes of them."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from models.arrays import Floats

_SHOWN = 0.99  # level at which groups must differ before they are told apart: an optimizer would choose among luck


def beyond_luck(apart: Floats, variances: Floats, most: float) -> float:
    """Variance of the groups' true differences (method of moments); 0 where none shows at all (Cochran's Q).

    Args:
        apart: (groups,) measured differences to the whole.
        variances: (groups,) of their errors, above 0.
        most: standard deviation beyond which the differences are not believed.
    """
    if not len(apart) or (apart**2 / variances).sum() <= chi2.ppf(_SHOWN, max(1, len(apart) - 1)):
        return 0.0
    inverse = 1 / variances
    return float(np.clip(((apart**2 - variances) * inverse).sum() / inverse.sum(), 0.0, most**2))
