"""Names for numpy arrays by what they hold; numpy's own types do not tell more to a checker."""

from typing import Any

import numpy.typing as npt

Ints = npt.NDArray[Any]
Floats = npt.NDArray[Any]
Bools = npt.NDArray[Any]
Numbers = npt.NDArray[Any]
