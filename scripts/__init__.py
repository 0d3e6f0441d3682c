"""The programs of this repository, and the modules that programs and tests share."""
