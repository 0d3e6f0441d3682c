"""Corrections of moto, one module per AWS service.

moto emulates every service except Lambda. Where it is more lenient than AWS, or lacks an operation, a correction makes
it behave like AWS. The docstring of each correction describes the behavior of AWS and of moto, and names a page of the
AWS documentation.
"""
