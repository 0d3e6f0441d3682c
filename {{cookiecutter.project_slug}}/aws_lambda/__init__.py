"""The adapter between AWS Lambda and the application in `app/`."""
