"""The real Gunicorn, watched: figures across its workers, logs that are whole, traces and errors that arrive."""

import gzip
import json
import os
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.health.test_metrics import Figures, figures
from tests.jobs.test_processes import processes_in
from tests.test_running import SECRETS, Checkout, checkout
from tests.waiting import until

__all__ = ["checkout"]  # the fixture

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
WSGI = """
import os
from app import create_app
from app.extensions import db

app = create_app()


@app.get("/test/pid")
def pid():
    return {"pid": os.getpid()}


@app.get("/test/fail")
def fail():
    password = "-".join(("Local", "horse", "1"))
    raise RuntimeError("Bearer {TOKEN}, " + str(len(password)))
""".replace("{TOKEN}", TOKEN)


@pytest.fixture
def watched(checkout: Checkout) -> Iterator[Checkout]:
    """A service in production with two workers, and URLs that tell which one answers and that fail."""
    (checkout.folder / "wsgi.py").write_text(WSGI)
    if not checkout.environment["DATABASE_URL"]:
        checkout.environment["DATABASE_URL"] = "sqlite:///production.db"
    checkout.environment |= {"FLASK_ENV": "production", "WEB_CONCURRENCY": "2", **SECRETS}
    assert checkout.run("flask", "db", "upgrade").returncode == 0
    yield checkout
    for pid in processes_in(checkout.folder):  # those of a test that has failed
        os.kill(pid, signal.SIGKILL)


def scrape(service: Checkout) -> Figures:
    with urllib.request.urlopen(f"{service.base}/metrics", timeout=10) as answer:  # noqa: S310
        return figures(answer.read().decode())


def answered(service: Checkout) -> float:
    return scrape(service).get(("agora_http_requests_total", "GET", "/health", "200"), 0)


def workers(service: Checkout) -> set[int]:
    """Return the ids of the workers that answer now."""
    with ThreadPoolExecutor(8) as pool:
        return {answer["pid"] for answer in pool.map(service.get, ["/test/pid"] * 60)}


def living(service: Checkout) -> set[str]:
    return {str(key[1]) for key in scrape(service) if key[0] == "process_resident_memory_bytes"}


def test_figures_add_up_across_workers_and_outlive_them(watched: Checkout) -> None:
    process = watched.serve()
    before = answered(watched)
    both = until(lambda: len(found := workers(watched)) == 2 and found)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(watched.get, ["/health"] * 200))
    assert {answered(watched) for _ in range(20)} == {before + 200}
    assert scrape(watched)["agora_pool_size", "writes"] == 2 * 4
    killed = both.pop()
    os.kill(killed, signal.SIGKILL)
    until(lambda: len(found := workers(watched)) == 2 and killed not in found)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(watched.get, ["/health"] * 100))
    assert {answered(watched) for _ in range(20)} == {before + 300}
    found = scrape(watched)
    assert (found["agora_pool_size", "writes"], found["agora_pool_in_use", "writes"]) == (2 * 4, 0)
    assert living(watched) == {"0", "1"}  # The successor has taken its row over.
    process.send_signal(signal.SIGHUP)
    until(lambda: not workers(watched) & (both | {killed}))
    assert answered(watched) >= before + 300
    watched.stop(process)


def test_all_lines_of_production_are_json_in_one_file_with_no_secret(watched: Checkout) -> None:
    log = watched.folder / "agora.log"
    process = watched.serve(LOG_TO=log.as_uri(), LOG_FILE_SIZE="5000")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(watched.get, ["/health"] * 200))
    request = urllib.request.Request(f"{watched.base}/test/fail", headers={"X-Request-ID": "request-1234"})  # noqa: S310
    with pytest.raises(urllib.error.HTTPError, match="500"):
        urllib.request.urlopen(request, timeout=10)  # noqa: S310
    watched.stop(process)
    text = "".join(path.read_text() for path in watched.folder.glob("agora.log*"))
    lines = [json.loads(line) for line in text.splitlines()]
    failed = [line for line in lines if line.get("request_id") == "request-1234"]
    assert [line["message"] for line in failed][:1] == ["Unexpected error"]
    assert "RuntimeError: Bearer ***, 13" in failed[0]["exception"]
    assert any(line["logger"] == "gunicorn.error" for line in lines)
    assert len(list(watched.folder.glob("agora.log.*"))) > 3
    assert TOKEN not in text
    assert not any(secret in text for secret in SECRETS.values())


class Collector(ThreadingHTTPServer):
    """Takes whatever it is sent, as OpenTelemetry's collector and Sentry do."""

    daemon_threads = True

    def __init__(self) -> None:
        received = self.received = []  # type: ignore[var-annotated]

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                coded = self.headers.get("Content-Encoding") == "gzip"
                received.append((self.path, gzip.decompress(body) if coded else body))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_args: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def text(self, path: str) -> str:
        """All that was sent to ``path``."""
        return b"\n".join(body for sent, body in list(self.received) if sent == path).decode(errors="replace")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(service: Checkout, path: str, name: str) -> None:
    headers = {"X-Request-ID": name, "Authorization": f"Bearer {TOKEN}", "Cookie": "session=cookie-of-a-member"}
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(service.base + path, headers=headers), timeout=10)  # noqa: S310


def test_traces_go_to_opentelemetrys_collector(watched: Checkout, collector: Collector) -> None:
    endpoint = f"http://{collector.address}"
    process = watched.serve(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_BSP_SCHEDULE_DELAY="50")
    watched.get("/api/v1/posts?q=searched")
    ask(watched, "/api/v1/posts/7", "request-1234")
    sent = until(lambda: "request-1234" in (text := collector.text("/v1/traces")) and "FROM posts" in text and text)
    assert "/api/v1/posts/<id:post_id>" in sent
    assert "agora" in sent
    watched.stop(process)
    text = collector.text("/v1/traces") + watched.log.read_text()
    assert not any(secret in text for secret in (TOKEN, "cookie-of-a-member", "searched"))


def test_an_unexpected_error_is_told_to_sentry_without_anything_personal(
    watched: Checkout, collector: Collector
) -> None:
    process = watched.serve(SENTRY_DSN=f"http://0123456789abcdef@{collector.address}/1")
    ask(watched, "/api/v1/posts/7", "request-of-404")
    ask(watched, "/test/fail?email=me@example.com", "request-1234")
    sent = until(lambda: collector.text("/api/1/envelope/"))
    event = next(found for line in sent.splitlines() if "exception" in (found := json.loads(line)))
    (error,) = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("RuntimeError", "Bearer ***, 13")
    assert event["tags"]["request_id"] == "request-1234"
    watched.stop(process)
    text = collector.text("/api/1/envelope/")
    for private in (TOKEN, "Local-horse-1", "cookie-of-a-member", "me@example.com", "127.0.0.1:", "request-of-404"):
        assert private not in text
