"""Run a module as `python -m` does, and write the name of each file that it opens to a file descriptor.

Usage: opened_files.py DESCRIPTOR -m MODULE [ARGUMENT...]
"""

import os
import runpy
import sys

descriptor = int(sys.argv[1])


def write_opened_file(event: str, arguments: tuple[object, ...]) -> None:
    """Write the name of a file that is opened. For extension modules, the event is an import with a file name."""
    if event == "open" or (event == "import" and arguments[1]):
        name = arguments[0] if event == "open" else arguments[1]
        if isinstance(name, str):
            os.write(descriptor, f"{name}\n".encode(errors="replace"))


sys.path[0] = ""  # the working directory, as with `python -m`
module, sys.argv[1:] = sys.argv[3], sys.argv[4:]
sys.addaudithook(write_opened_file)
runpy.run_module(module, run_name="__main__", alter_sys=True)
