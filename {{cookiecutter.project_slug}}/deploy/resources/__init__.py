"""The parts of the service, one file for each. `deploy/stack.py` lists them."""
