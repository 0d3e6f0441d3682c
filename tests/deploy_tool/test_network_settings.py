"""The check of the public URL uses the proxy and the certificates that boto3 uses, as company networks require."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from werkzeug import Request, Response
from werkzeug.serving import make_server, make_ssl_devcert

from embedded_aws import EmbeddedAws
from tests.support.bake import Bake
from tests.support.deployed_stage import task_root

CHECK = """
import sys
from pathlib import Path
from types import SimpleNamespace
from deploy.config import load
from deploy.public_url import check_url
from deploy.stage import Stage

stage = Stage(load(Path("deploy.toml"), "prod"), Path())
endpoint = SimpleNamespace(stage=stage, sign=lambda request: None, is_propagating=lambda status, body: False)
print(check_url(endpoint, sys.argv[1], is_new=False).body)
"""


class ForwardProxy(BaseHTTPRequestHandler):
    """Forward each request, and record its host."""

    hosts: set[str]

    def forward(self) -> None:
        target = urlsplit(self.path)
        self.hosts.add(target.netloc)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection(target.netloc, timeout=30)
        connection.request(self.command, target._replace(scheme="", netloc="").geturl(), body, dict(self.headers))
        response = connection.getresponse()
        content = response.read()
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = forward

    def log_message(self, *_: object) -> None: ...


@contextmanager
def proxy() -> Iterator[tuple[str, set[str]]]:
    """Yield the address of a proxy, and the hosts to which it has forwarded requests."""
    hosts: set[str] = set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Proxy", (ForwardProxy,), {"hosts": hosts}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", hosts
    finally:
        server.shutdown()
        server.server_close()


def test_a_deploy_reaches_aws_and_the_url_through_a_proxy(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path / "project")
    with EmbeddedAws() as aws, proxy() as (address, hosts):
        image = aws.push_image("built-elsewhere", task_root(tmp_path, "old"))
        result = project.run(["./deploy.sh", "--image", image], env=aws.environ | {"HTTP_PROXY": address})
        url = result.stdout.split()[-1]
        assert hosts == {urlsplit(aws.url).netloc, urlsplit(url).netloc}

        hosts.clear()
        bypass = {"HTTP_PROXY": address, "NO_PROXY": "127.0.0.1"}
        project.run(["./deploy.sh", "--image", image], env=aws.environ | bypass)
        assert hosts == set()


def test_the_check_of_the_url_trusts_the_certificates_in_aws_ca_bundle(bake: Bake, tmp_path: Path) -> None:
    certificate, key = make_ssl_devcert(str(tmp_path / "devcert"), host="localhost")

    server = make_server(
        "127.0.0.1", 0, Request.application(lambda request: Response("hello")), ssl_context=(certificate, key)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        project, url = bake(), f"https://localhost:{server.server_port}/"
        credentials = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
        command = ["python", "-c", CHECK, url]
        trusted = project.run(command, env=credentials | {"AWS_CA_BUNDLE": certificate})
        assert trusted.stdout == "hello\n"
        untrusted = project.run(command, env=credentials, check=False)
        assert "CERTIFICATE_VERIFY_FAILED" in untrusted.stderr
    finally:
        server.shutdown()
        server.server_close()
