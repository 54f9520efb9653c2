"""How a model lives: training data, fit, registry, promotion, monitoring."""
