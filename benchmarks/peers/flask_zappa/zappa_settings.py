# What `zappa package` writes for a project of these settings, without what only other kinds of events need.
APP_MODULE = "app.main"
APP_FUNCTION = "app"
API_STAGE = "prod"
PROJECT_NAME = "benchmark"
LOG_LEVEL = "WARNING"
DEBUG = False
DJANGO_SETTINGS = None
DOMAIN = None
BASE_PATH = None
BINARY_SUPPORT = True
ENVIRONMENT_VARIABLES = {}
EXCEPTION_HANDLER = None
CONTEXT_HEADER_MAPPINGS = {}
