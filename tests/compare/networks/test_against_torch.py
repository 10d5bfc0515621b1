"""Every small network against PyTorch's own, built from the same description: names, outputs, loss, gradients, running statistics."""

from types import ModuleType
from typing import Any

import pytest

