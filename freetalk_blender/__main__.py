"""`python -m freetalk_blender ...`: the command line."""

import sys

from .cli import main

sys.exit(main())
