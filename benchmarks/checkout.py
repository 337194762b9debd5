"""Puts `src` of this checkout on the path, because fmnist need not be installed. Import it for this effect."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
