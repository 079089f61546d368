"""lstfill."""
