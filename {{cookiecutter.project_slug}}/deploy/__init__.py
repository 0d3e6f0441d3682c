"""Puts this service on AWS Lambda and looks after it there.

Each resource knows what it should be and how to read, create, update and delete itself (`resources/`).
Comparing the two makes a plan, which is data (`resource.py`); the verbs are different walks over it (`verbs/`).
"""
