"""Numbers, plots and pages about finished talks; nothing here calls a model."""
