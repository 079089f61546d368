"""The pipeline, how it is parametrised, and how it is run; imported from the repository, never installed."""
