"""atomic_write: whole or not there, whatever happens in between."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading

import pytest

from soft_students.persistence import atomic_write
from soft_students.persistence.atomic import remove_leftovers


def test_a_new_file_holds_what_was_written_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "file"
    with atomic_write(path) as file:
        file.write(b"abc")
    assert path.read_bytes() == b"abc"
    assert os.listdir(tmp_path) == ["file"]


def test_the_file_can_be_sought_and_read_back_as_zip_writers_do(tmp_path):
    with atomic_write(tmp_path / "file") as file:
        file.write(b"abcdef")
        file.seek(1)
        assert file.read(2) == b"bc"
        file.seek(0)
        file.write(b"X")
    assert (tmp_path / "file").read_bytes() == b"Xbcdef"


def test_until_the_end_a_reader_sees_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_exception_leaves_the_old_state_and_no_temporary_file(tmp_path, error, old):
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)

    def write_half():
        with atomic_write(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        write_half()

    assert os.listdir(tmp_path) == ([] if old is None else ["file"])
    if old is not None:
        assert path.read_bytes() == old


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_ctrl_c_while_finishing_leaves_the_old_file_and_no_temporary_file(
    tmp_path, monkeypatch, step
):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, step, interrupt)
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_without_overwrite_an_existing_file_is_refused_before_any_work(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with (
        pytest.raises(FileExistsError, match=r"file' exists already\. Pass overwrite=True"),
        atomic_write(path, overwrite=False),
    ):
        pytest.fail("the block must not run")
    assert path.read_bytes() == b"old"


def test_without_overwrite_a_file_that_appears_meanwhile_is_kept(tmp_path):
    path = tmp_path / "file"

    def write_too_late():
        with atomic_write(path, overwrite=False) as file:
            file.write(b"mine")
            path.write_bytes(b"theirs")

    with pytest.raises(FileExistsError, match="exists already"):
        write_too_late()
    assert path.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("hard_links", [True, False])
def test_without_overwrite_a_new_file_is_written(tmp_path, monkeypatch, hard_links):
    if not hard_links:

        def refuse(*_):
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    with atomic_write(tmp_path / "file", overwrite=False) as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_a_missing_folder_is_named(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match=r"nowhere' does not exist\. Create it") as caught,
        atomic_write(tmp_path / "nowhere" / "file"),
    ):
        pass
    assert caught.value.errno == errno.ENOENT


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="not a"), atomic_write(tmp_path / "file" / "below"):
        pass


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match="it is a folder"), atomic_write(tmp_path):
        pass


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="needs a POSIX system")
def test_a_device_is_not_replaced_by_a_file():
    with pytest.raises(OSError, match="device or a pipe"), atomic_write("/dev/null"):
        pass
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_an_unwritable_folder_is_named(tmp_path, monkeypatch):
    # Simulated, since the superuser may write anywhere.
    def refuse(path, *_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with (
        pytest.raises(PermissionError, match=r"cannot create a file in .*permission denied"),
        atomic_write(tmp_path / "file"),
    ):
        pass


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere"
)
def test_a_folder_without_write_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with (
            pytest.raises(PermissionError, match="cannot create a file"),
            atomic_write(tmp_path / "file"),
        ):
            pass
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_full_disk_is_said_and_the_old_file_is_intact(tmp_path, old):
    """By a real limit of the operating system, on the size of files."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)

    def write_too_much():
        with atomic_write(path) as file:
            file.write(bytes(90_000))
            file.write(bytes(90_000))

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match=r"Cannot write '.*file': file too large") as caught:
            write_too_much()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert ("nothing was written" if old is None else "old file is intact") in str(caught.value)
    assert caught.value.errno == errno.EFBIG
    assert os.listdir(tmp_path) == ([] if old is None else ["file"])
    if old is not None:
        assert path.read_bytes() == old


def test_permissions_of_a_new_file_follow_the_umask_and_an_old_file_keeps_its_own(tmp_path):
    old_umask = os.umask(0o027)
    try:
        for path in (tmp_path / "new", tmp_path / "old"):
            if path.name == "old":
                path.touch()
                path.chmod(0o604)
            with atomic_write(path) as file:
                file.write(b"x")
    finally:
        os.umask(old_umask)
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
        assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o604


def test_a_symbolic_link_still_points_to_the_file_that_was_written(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    link = tmp_path / "link"
    try:
        link.symlink_to("real")
    except OSError:
        pytest.skip("no symbolic links here")
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_name_as_long_as_the_file_system_allows(tmp_path):
    path = tmp_path / ("é" * 127)
    with atomic_write(path) as file:
        file.write(b"x")
    assert path.read_bytes() == b"x"


def test_writers_that_race_leave_one_whole_file(tmp_path):
    path = tmp_path / "file"
    contents = [bytes([i]) * 50_000 for i in range(8)]

    def write(content):
        for _ in range(5):
            with atomic_write(path) as file:
                file.write(content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert os.listdir(tmp_path) == ["file"]


def test_of_writers_that_race_without_overwrite_one_succeeds(tmp_path):
    path = tmp_path / "file"
    at_the_same_time = threading.Barrier(6)
    winners = []

    def write(i):
        try:
            with atomic_write(path, overwrite=False) as file:
                file.write(bytes([i]))
                at_the_same_time.wait(timeout=10)
        except FileExistsError:
            return
        winners.append(i)

    threads = [threading.Thread(target=write, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [bytes([i]) for i in winners] == [path.read_bytes()]


WRITING = """
import sys, time
from soft_students.persistence import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def hidden(folder):
    return [path for path in folder.rglob(".*") if path.is_file()]


@pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be removed there")
def test_leftovers_are_removed_once_their_process_is_killed(tmp_path):
    (tmp_path / "below").mkdir()
    command = (sys.executable, "-c", WRITING, str(tmp_path / "below" / "part"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "writing\n"
            remove_leftovers(tmp_path)
            assert len(hidden(tmp_path)) == 1  # it is at work
        finally:
            process.send_signal(signal.SIGKILL)
    assert len(hidden(tmp_path)) == 1
    remove_leftovers(tmp_path)
    assert hidden(tmp_path) == []


def test_leftovers_are_no_files_of_others(tmp_path):
    (tmp_path / "target").write_bytes(b"kept")
    kept = [
        ".part.npy.0123456789abcdef.tmpx", ".part.npy.0123456789ABCDEF.tmp",
        "part.npy.0123456789abcdef.tmp", ".part.npy.0123456789abcde.tmp", ".tmp",
    ]  # fmt: skip
    for name in kept:
        (tmp_path / name).touch()
    (tmp_path / ".link.0123456789abcdef.tmp").symlink_to(tmp_path / "target")
    (tmp_path / ".folder.0123456789abcdef.tmp").mkdir()
    (tmp_path / ".part.npy.0123456789abcdef.tmp").touch()
    before = set(os.listdir(tmp_path))
    remove_leftovers(tmp_path)
    assert before - set(os.listdir(tmp_path)) == {".part.npy.0123456789abcdef.tmp"}
    assert (tmp_path / "target").read_bytes() == b"kept"


@pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be removed there")
def test_a_file_stays_locked_until_it_has_its_name(tmp_path, monkeypatch):
    replace = os.replace

    def removed_before(*paths):
        remove_leftovers(tmp_path)
        replace(*paths)

    monkeypatch.setattr(os, "replace", removed_before)
    with atomic_write(tmp_path / "file") as file:
        remove_leftovers(tmp_path)
        file.write(b"abc")
    assert (tmp_path / "file").read_bytes() == b"abc"


@pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be removed there")
def test_a_file_that_is_removed_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    opened = os.open

    def removed_after(path, *args):
        descriptor = opened(path, *args)
        monkeypatch.setattr(os, "open", opened)
        remove_leftovers(tmp_path)
        return descriptor

    monkeypatch.setattr(os, "open", removed_after)
    with atomic_write(tmp_path / "file") as file:
        file.write(b"abc")
    assert (tmp_path / "file").read_bytes() == b"abc"


@pytest.mark.skipif(sys.platform == "win32", reason="there is nothing to lock")
def test_where_nothing_can_be_locked_files_are_written_and_leftovers_are_kept(
    tmp_path, monkeypatch
):
    import fcntl

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    (tmp_path / ".part.0123456789abcdef.tmp").touch()
    with atomic_write(tmp_path / "file") as file:
        file.write(b"abc")
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".part.0123456789abcdef.tmp", "file"]
