"""Calibrations that are kept in a folder of the test."""

import pytest

from compare.calibration.store import VARIABLE


@pytest.fixture
def kept(tmp_path, monkeypatch):
    target = tmp_path / "folder" / "calibration.json"
    monkeypatch.setenv(VARIABLE, str(target))
    return target


@pytest.fixture
def threads(monkeypatch):
    monkeypatch.setattr("compare.environment.limit_threads", lambda: None)
