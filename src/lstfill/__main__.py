"""Entry point of ``python -m lstfill``."""

import sys

from lstfill.cli import main

sys.exit(main())
