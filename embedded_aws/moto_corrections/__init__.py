"""Corrections of moto, one module per AWS service.

moto emulates every service except Lambda. Where it is more lenient than AWS, or lacks an operation, a correction makes
it behave like AWS. Each correction states what moto does, what AWS does, and the page or issue that says so.
"""
