"""Where an environment starts ahead of requests, a first request has been served before a real one comes."""

import pytest

from app.logs import access_log
from app.warm_up import AHEAD_OF_REQUESTS
from tests.app.test_init import run

PATHS = """
import app.logs
paths = []
served = app.logs.AccessLog.__call__
async def seen(self, scope, receive, send):
    paths.append(scope["path"])
    await served(self, scope, receive, send)
app.logs.AccessLog.__call__ = seen
import app.main
print(paths, app.main.handler.app.cold_start)
"""


@pytest.mark.parametrize(
    ("started", "printed"), [(AHEAD_OF_REQUESTS, "['/health'] False\n"), ("on-demand", "[] True\n")]
)
def test_only_ahead_of_requests_and_unlogged(started: str, printed: str) -> None:
    done = run(PATHS, AWS_LAMBDA_INITIALIZATION_TYPE=started)
    assert (done.stdout, done.stderr) == (printed, "")
    assert not access_log.disabled
