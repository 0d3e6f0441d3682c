"""Images: the task root of a Dockerfile, and execution environments in containers."""
