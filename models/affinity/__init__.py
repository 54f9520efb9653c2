"""HOW LIKELY and how much: response, calibration, effect on margin, value, off-policy evaluation. Arrays only."""
