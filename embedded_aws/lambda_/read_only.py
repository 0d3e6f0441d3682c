"""Run the program of a function with a file system on which only /tmp can be written, as on AWS.

The arguments are the program (a file, or the name of a package) and its own arguments. The folder LAMBDA_RUNTIME_DIR is
next to the folders for the temporary files of execution environments.

Python announces each change of a file as an audit event (https://docs.python.org/3/library/audit_events.html), and this
program raises the errors of a read-only file system. That works on every machine and needs no privilege. It does not
restrict the programs that a function starts, nor compiled libraries that open files themselves.

On AWS, the home directory does not exist and cannot be created, and the variable HOME is not set:
https://github.com/aws/aws-lambda-base-images/issues/63, https://github.com/danielgatis/rembg/issues/373
"""

import errno
import os
import runpy
import sys
from collections.abc import Callable, Sequence
from typing import Any

FilePath = str | bytes | os.PathLike[str]
NO_FOLDER = -1  # the argument dir_fd of audit events for paths that are not relative to an open folder
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class ReadOnlyFileSystem:
    """Refuse to change anything outside of the folders `writable`, and in the folders `read_only` inside them.

    The methods that start with `check_` receive the arguments of audit events. They ignore operations that fail anyway,
    such as the deletion of a file that does not exist.
    """

    def __init__(self, writable: Sequence[str], read_only: Sequence[str]) -> None:
        self._writable = tuple(os.path.realpath(folder) + os.sep for folder in writable)
        self._read_only = tuple(os.path.realpath(folder) + os.sep for folder in read_only)
        self._checks: dict[str, Callable[..., None]] = {
            "open": self.check_open,
            "os.mkdir": lambda path, mode, folder: self.check_creation(path, folder),
            "os.symlink": lambda source, path, folder: self.check_creation(path, folder),
            "os.link": self.check_move,
            "os.rename": self.check_move,
            "os.remove": self.check_deletion,
            "os.rmdir": self.check_deletion,
            "os.chflags": self.check_change,
            "os.chmod": self.check_change,
            "os.chown": self.check_change,
            "os.removexattr": self.check_change,
            "os.setxattr": self.check_change,
            "os.truncate": self.check_change,
            "os.utime": self.check_change,
            "sqlite3.connect": self.check_database,
            "import": self.limit_sqlite,
        }

    def install(self) -> None:
        """Apply the rules to this process and its forks."""
        sys.addaudithook(self._audit)
        test_access = os.access

        def access(path: Any, mode: int, **options: Any) -> bool:
            """Test access as os.access does, which announces no audit event."""
            is_allowed = test_access(path, mode, **options)
            is_writing = mode & os.W_OK and not isinstance(path, int)
            return is_allowed and not (is_writing and self._is_read_only_file(path))

        os.access = access

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        check = self._checks.get(event)
        if check and not isinstance(args[0], int):  # an open file was checked when it was opened
            check(*args)

    def check_open(self, path: FilePath, mode: object, flags: int) -> None:
        """Refuse to open a file for writing. The kernel allows it for devices and pipes of a read-only file system."""
        real = os.path.realpath(os.fsdecode(path)) if flags & WRITING else ""
        if not real or not self._is_read_only(real):
            return
        if os.path.isdir(real):
            refused = is_temporary(flags)
        elif os.path.isfile(real):
            refused = not flags & os.O_EXCL
        else:
            refused = bool(flags & os.O_CREAT) and not os.path.exists(real) and os.path.isdir(os.path.dirname(real))
        if refused:
            raise read_only_error(path)

    def check_creation(self, path: FilePath, folder: int = NO_FOLDER) -> None:
        """Refuse to create a file or a folder."""
        entry = locate(path, folder)
        if self._is_read_only(entry) and not os.path.lexists(entry) and os.path.isdir(os.path.dirname(entry)):
            raise read_only_error(path)

    def check_deletion(self, path: FilePath, folder: int) -> None:
        """Refuse to delete a file or a folder."""
        entry = locate(path, folder)
        if self._is_read_only(entry) and os.path.lexists(entry):
            raise read_only_error(path)

    def check_move(self, source: FilePath, target: FilePath, source_folder: int, target_folder: int) -> None:
        """Refuse to rename or link a file. Between /tmp and another folder, this fails because the devices differ."""
        entries = locate(source, source_folder), locate(target, target_folder)
        refused = [self._is_read_only(entry) for entry in entries]
        if any(refused) and os.path.lexists(entries[0]):
            code = errno.EROFS if all(refused) else errno.EXDEV
            raise OSError(code, os.strerror(code), source, None, target)

    def check_change(self, path: FilePath, *_: object) -> None:
        """Refuse to change the size, the mode, the owner or the time of a file."""
        if self._is_read_only_file(path):
            raise read_only_error(path)

    def check_database(self, database: FilePath) -> None:
        """Refuse to create a database with the error that SQLite raises on a read-only file system."""
        name = os.fsdecode(database)
        if name.startswith("file:"):
            from urllib.parse import unquote, urlsplit

            name = "" if "mode=memory" in name else unquote(urlsplit(name).path)
        if name in ("", ":memory:"):
            return
        try:
            self.check_open(name, None, os.O_RDWR | os.O_CREAT)
        except OSError:
            if not os.path.exists(name):  # SQLite opens an existing database for reading then
                raise sys.modules["_sqlite3"].OperationalError("unable to open database file") from None

    def limit_sqlite(self, module: str, *_: object) -> None:
        """Let connections to an existing database on the read-only file system only read, when sqlite3 is imported."""
        if module != "_sqlite3":
            return
        del self._checks["import"]
        import _sqlite3  # sqlite3 copies the names of this module after this import

        open_connection = _sqlite3.connect

        def connect(*args: Any, **options: Any) -> Any:
            connection = open_connection(*args, **options)
            files = [file for _, _, file in _sqlite3.Connection.execute(connection, "PRAGMA database_list")]
            if any(file and self._is_read_only(file) for file in files):
                _sqlite3.Connection.execute(connection, "PRAGMA query_only = 1")
            return connection

        _sqlite3.connect = connect

    def _is_read_only(self, path: str) -> bool:
        """Return True if a path without symbolic links is on the read-only file system."""
        name = path + os.sep
        return not name.startswith(self._writable) or name.startswith(self._read_only)

    def _is_read_only_file(self, path: FilePath) -> bool:
        """Return True if this is a file or a folder, and not a device or a pipe, on the read-only file system."""
        real = os.path.realpath(os.fsdecode(path))
        return (os.path.isfile(real) or os.path.isdir(real)) and self._is_read_only(real)


def locate(path: FilePath, folder: int) -> str:
    """Return the absolute path of an entry of a folder. Follow symbolic links, but not the entry itself."""
    name = os.fsdecode(path)
    if folder != NO_FOLDER:
        name = os.path.join(path_of_descriptor(folder), name)
    parent, entry = os.path.split(name.rstrip(os.sep))
    return os.path.join(os.path.realpath(parent), entry)


def path_of_descriptor(descriptor: int) -> str:
    """Return the path of an open folder."""
    if sys.platform == "darwin":
        import fcntl

        return os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
    return os.readlink(f"/proc/self/fd/{descriptor}")


def is_temporary(flags: int) -> bool:
    """Return True if these flags of os.open create a file without a name in a folder."""
    temporary = getattr(os, "O_TMPFILE", 0)
    return bool(temporary) and flags & temporary == temporary


def read_only_error(path: FilePath) -> OSError:
    """Return the error of a read-only file system."""
    return OSError(errno.EROFS, os.strerror(errno.EROFS), path)


def main(program: str) -> None:
    """Run the program. It can write to /tmp and to the folders for temporary files only."""
    task_root, runtime_dir = os.getcwd(), os.environ["LAMBDA_RUNTIME_DIR"]
    sys.path[0] = task_root  # instead of the folder of this file
    ReadOnlyFileSystem(["/tmp", os.path.dirname(runtime_dir)], [task_root, runtime_dir]).install()  # noqa: S108
    if os.path.isabs(program):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv.pop(1))
