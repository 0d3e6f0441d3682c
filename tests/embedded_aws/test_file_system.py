"""Test that a function can write to /tmp only, as on AWS, and that each execution environment has its own /tmp.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-ephemeral-storage.html
"""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.sample_function import NAME, SampleFunction

# Run the code of the event. Return the variable `result`, or the error that the code raises.
RUNS_CODE = """\
import errno, multiprocessing, os, pathlib, shutil, sqlite3, sys, tempfile, time

PACKAGE = pathlib.Path(__file__).parent
HOME = pathlib.Path.home()
TMP = pathlib.Path(tempfile.gettempdir())
(TMP / "of-init").write_text("init")

def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.01)

def handler(event, context):
    names = {**globals(), "event": event}
    try:
        exec(event["code"], names)
    except OSError as error:
        return [errno.errorcode[error.errno], error.strerror, os.fsdecode(error.filename)]
    except sqlite3.Error as error:
        return [type(error).__name__, str(error)]
    return names.get("result")
"""

# Code that changes a file, and the end of the path in the error.
CHANGES = {
    "open(PACKAGE / 'new', 'w')": "/new",
    "open('new', 'a')": "new",
    "open(b'new', 'xb')": "new",
    "open('main.py', 'r+')": "main.py",
    "os.open('main.py', os.O_WRONLY | os.O_TRUNC)": "main.py",
    "os.open('main.py', os.O_RDONLY | os.O_CREAT)": "main.py",
    "pathlib.Path('new').write_text('')": "new",
    "pathlib.Path('new').touch()": "new",
    "pathlib.Path('main.py').touch()": "main.py",
    "pathlib.Path('main.py').unlink()": "main.py",
    "os.makedirs('new/folder', exist_ok=True)": "new",
    "os.rmdir(PACKAGE)": "",
    "os.symlink('main.py', 'new')": "new",
    "os.chmod('main.py', 0o777)": "main.py",
    "os.utime('main.py')": "main.py",
    "os.truncate('main.py', 0)": "main.py",
    "os.rename('main.py', 'new')": "main.py",
    "os.link('main.py', 'new')": "main.py",
    "os.remove('main.py', dir_fd=os.open(PACKAGE, os.O_RDONLY))": "main.py",
    "shutil.copy('main.py', 'new')": "new",
    "shutil.move(TMP / 'of-init', 'new')": "new",
    "shutil.rmtree(PACKAGE)": "",
    "tempfile.TemporaryFile(dir=PACKAGE)": "",
    "os.symlink(PACKAGE, TMP / 'link'); open(TMP / 'link' / 'new', 'w')": "/link/new",
    "os.makedirs(HOME / '.cache-of-the-test' / 'models')": "/.cache-of-the-test",
    "open(HOME / '.file-of-the-test', 'w')": "/.file-of-the-test",
    "open('/file-of-the-test', 'w')": "/file-of-the-test",
    "open('/dev/shm/file-of-the-test', 'w')": "/file-of-the-test",
    "process = multiprocessing.get_context('fork').Process(target=open, args=('new', 'w')); process.start(); "
    "process.join(); process.exitcode == 1 and open('new', 'w')": "new",
}

# Code that does not change anything outside of /tmp, and its result or error.
OTHERS = {
    "result = open('main.py').read()[:6]": "import",
    "result = os.listdir(PACKAGE)": ["main.py"],
    "result = open('/etc/passwd').readable()": True,
    "result = os.path.isdir(HOME)": True,
    "result = open('/dev/null', 'w').write('x')": 1,
    "result = os.open('/dev/stderr', os.O_WRONLY) > 2": True,
    "result = os.access(PACKAGE, os.R_OK), os.access(PACKAGE, os.W_OK), os.access(TMP, os.W_OK)": [True, False, True],
    "os.remove('missing')": ["ENOENT", "No such file or directory", "missing"],
    "open('missing', 'r+')": ["ENOENT", "No such file or directory", "missing"],
    "open('missing/new', 'w')": ["ENOENT", "No such file or directory", "missing/new"],
    "os.mkdir('main.py')": ["EEXIST", "File exists", "main.py"],
    "open('main.py', 'x')": ["EEXIST", "File exists", "main.py"],
    "os.makedirs(PACKAGE, exist_ok=True)": None,
    "os.link(PACKAGE / 'main.py', TMP / 'hard-link')": ["EXDEV", "Invalid cross-device link"],
    "shutil.copytree(PACKAGE, TMP / 'copy'); os.rename(TMP / 'copy/main.py', TMP / 'a'); os.chmod(TMP / 'a', 0o600); "
    "shutil.rmtree(TMP / 'copy'); result = (TMP / 'a').stat().st_size > 0": True,
    "with tempfile.TemporaryDirectory() as folder: open(folder + '/x', 'w'); result = os.listdir(folder)": ["x"],
    "with tempfile.TemporaryFile() as file: result = file.write(b'x')": 1,
    "with tempfile.NamedTemporaryFile(dir='/tmp') as file: result = file.write(b'x')": 1,
}


@pytest.fixture
def function(sample: SampleFunction) -> SampleFunction:
    sample.create(RUNS_CODE)
    return sample


def run(function: SampleFunction, code: str, **options: Any) -> Any:
    result = function.invoke({"code": code}, **options)
    assert not result.error, result.payload
    return result.payload


def test_only_tmp_can_be_written(function: SampleFunction) -> None:
    root = Path(run(function, "result = str(PACKAGE)"))
    for code, path in CHANGES.items():
        number, message, file = run(function, code)
        assert (number, message) == ("EROFS", "Read-only file system"), code
        assert file.endswith(path), code
    assert os.listdir(root) == ["main.py"]
    assert (root / "main.py").read_text() == RUNS_CODE


def test_reading_and_writing_to_tmp_work_and_other_errors_are_unchanged(function: SampleFunction) -> None:
    for code, expected in OTHERS.items():
        result = run(function, code)
        assert (result[: len(expected)] if isinstance(expected, list) else result) == expected, code


def test_a_sqlite_database_next_to_the_code_can_only_be_read(function: SampleFunction) -> None:
    root = Path(run(function, "result = str(PACKAGE)"))
    create = "connection = sqlite3.connect({}); connection.execute('create table x (y)'); connection.commit(); "
    create += "result = connection.execute('select count(*) from x').fetchone()"
    missing = ["OperationalError", "unable to open database file"]
    for name in ("'new.db'", "PACKAGE / 'new.db'", "HOME / 'of-the-test.db'", "f'file:{PACKAGE}/new.db', uri=True"):
        assert run(function, create.format(name)) == missing, name
    for name in ("':memory:'", "''", "'file::memory:', uri=True", "'file:x?mode=memory', uri=True", "TMP / 'new.db'"):
        assert run(function, create.format(name)) == [0], name
    (root / "data.db").write_bytes(Path(run(function, "result = str(TMP / 'new.db')")).read_bytes())
    read = "result = sqlite3.connect('data.db').execute('select count(*) from x').fetchone()"
    assert run(function, read) == [0]
    write = "connection = sqlite3.connect('data.db'); connection.execute('insert into x values (1)')"
    assert run(function, write) == ["OperationalError", "attempt to write a readonly database"]
    assert sorted(os.listdir(root)) == ["data.db", "main.py"]


def test_tmp_is_kept_between_invocations_and_deleted_with_the_environment(function: SampleFunction) -> None:
    folder = Path(run(function, "(TMP / 'kept').write_text('x'); result = str(TMP)"))
    assert run(function, "result = (TMP / 'kept').read_text(), (TMP / 'of-init').read_text()") == ["x", "init"]
    assert folder.exists()
    function.client.delete_function(FunctionName=NAME)
    assert not folder.exists()


def test_environments_do_not_share_their_tmp(function: SampleFunction) -> None:
    code = "(TMP / str(os.getpid())).touch(); wait_for(event['gate']); result = [os.getpid(), sorted(os.listdir(TMP))]"
    results = [result.payload for result in function.invoke_concurrently(2, {"code": code})]
    assert len({pid for pid, _ in results}) == 2
    for pid, files in results:
        assert files == sorted([str(pid), "of-init"])


def test_a_restored_environment_has_its_own_copy_of_the_tmp_of_its_snapshot(sample: SampleFunction) -> None:
    sample.create(RUNS_CODE, SnapStart={"ApplyOn": "PublishedVersions"})
    version = sample.publish()
    code = "(pathlib.Path(tempfile.gettempdir()) / str(os.getpid())).touch(); wait_for(event['gate']); "
    code += "result = [os.getpid(), tempfile.gettempdir(), sorted(os.listdir(tempfile.gettempdir()))]"
    results = [result.payload for result in sample.invoke_concurrently(2, {"code": code}, Qualifier=version)]
    assert len({folder for _, folder, _ in results}) == 2
    for pid, folder, files in results:
        assert files == sorted([str(pid), "of-init"])
        assert run(sample, "open('new', 'w')", Qualifier=version)[0] == "EROFS"
        assert Path(folder).exists()
    sample.client.delete_function(FunctionName=NAME, Qualifier=version)
    assert not [folder for _, folder, _ in results if Path(folder).exists()]
