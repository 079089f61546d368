"""What a run costs, measured the same way each time: ``python -m benchmarks``, or ``make bench``."""
