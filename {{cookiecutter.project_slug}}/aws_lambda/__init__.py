"""The adapter between AWS Lambda and the application."""
