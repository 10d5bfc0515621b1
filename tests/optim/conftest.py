"""What the tests of optimizers share."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def problem() -> ModuleType:
    """The module `problem.py` beside this file. Loaded by path, so that test folders need not be packages."""
    specification = importlib.util.spec_from_file_location("optim_problem", Path(__file__).with_name("problem.py"))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def torch() -> Iterator[Any]:
    """PyTorch in double precision, so that it keeps numbers beside the parameters (NAdam's product) in double precision too."""
    torch = pytest.importorskip("torch", reason="torch is the oracle here")
    torch.set_num_threads(1)  # tiny nets, and the tests run side by side
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(before)
