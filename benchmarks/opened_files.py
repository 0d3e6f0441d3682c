"""Runs a module as `python -m` does, and writes the name of each file that it opens to a file descriptor."""

import os
import runpy
import sys

descriptor = int(sys.argv[1])


def note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" or (event == "import" and arguments[1]):  # extension modules have a file name there
        name = arguments[0] if event == "open" else arguments[1]
        if isinstance(name, str):
            os.write(descriptor, f"{name}\n".encode(errors="replace"))


sys.path[0] = ""  # the folder it runs in, as with `python -m`
sys.argv[1:] = sys.argv[3:]  # 2 is -m
module, sys.argv[1:] = sys.argv[1], sys.argv[2:]
sys.addaudithook(note)
runpy.run_module(module, run_name="__main__", alter_sys=True)
