"""Files appear whole or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from compare import files
from compare.errors import InputError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_writes_every_file_and_leaves_nothing_else(tmp_path):
    files.write({tmp_path / "a": b"one", tmp_path / "b": b"two"})
    assert names(tmp_path) == ["a", "b"]
    assert (tmp_path / "a").read_bytes() == b"one"


def test_respects_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        files.write({tmp_path / "a": b""})
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_failure_leaves_nothing_new(tmp_path, monkeypatch, call, fails_at):
    real, calls = getattr(os, call), []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(os, call, failing)
    with pytest.raises(InputError, match=r"cannot write '.*': No space left on device"):
        files.write({tmp_path / "a": b"one", tmp_path / "b": b"two"})
    assert names(tmp_path) == []


def test_a_failure_keeps_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")

    def failing(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(InputError):
        files.write({tmp_path / "a": b"new"})
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write({tmp_path / "a": b"new"})
    assert names(tmp_path) == []


def test_destination_makes_folders_and_leaves_no_probe(tmp_path):
    target = tmp_path / "deep" / "er" / "a.html"
    with files.destination(target):
        assert names(target.parent) == []


def test_destination_removes_the_folders_it_made_when_the_work_fails(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(RuntimeError), files.destination(tmp_path / "there" / "deep" / "er" / "a.html"):
        raise RuntimeError
    assert names(tmp_path) == ["there"]
    assert names(tmp_path / "there") == []


def test_destination_refuses_a_folder_below_a_file(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "deep"):
        with pytest.raises(InputError, match=r"output folder '.*file"), files.destination(folder / "a"):
            pass


def test_destination_refuses_what_is_no_file(tmp_path):
    (tmp_path / "a.html").mkdir()
    for taken in (tmp_path / "a.html", Path(os.devnull)):
        with pytest.raises(InputError, match="is not a regular file"), files.destination(taken):
            pass
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_destination_refuses_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(files, "_write_through", refused)
    with pytest.raises(InputError, match=r"cannot write to output folder '.*': Read-only file system"), files.destination(tmp_path / "a"):
        pass
