"""AWS Lambda: the control plane, the data plane and function URLs."""
