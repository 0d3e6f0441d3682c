"""Settings of the portal."""

import os

API_KEY = os.environ["PORTAL_API_KEY"]
DEBUG = os.environ.get("PORTAL_DEBUG", "0") == "1"
