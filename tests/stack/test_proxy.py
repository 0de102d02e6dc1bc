"""What Nginx adds, hides and passes on."""

import gzip
import json
import socket
import subprocess
import time
from pathlib import Path

import requests

from deploy.process import Process
from deploy.servers import nginx
from deploy.stack import Stack, free_port
from tests.notifications.certificate import make_certificate


def test_a_session_goes_through(stack: Stack, member: requests.Session) -> None:
    made = member.post(f"{stack.url}/api/v1/posts", json={"title": "Hello", "content": "Through Nginx"}, timeout=10)
    assert made.status_code == 201
    url = stack.url + made.headers["Location"].removeprefix(stack.url)
    read = member.get(url, timeout=10)
    assert read.json() == made.json()
    changed = member.patch(url, json={"title": "Hi"}, headers={"If-Match": read.headers["ETag"]}, timeout=10)
    assert (changed.status_code, changed.json()["title"]) == (200, "Hi")
    again = member.patch(url, json={"title": "Ho"}, headers={"If-Match": read.headers["ETag"]}, timeout=10)
    assert again.status_code == 412


def test_the_scheduler_and_the_worker_are_at_work(stack: Stack, member: requests.Session) -> None:
    asked = member.post(f"{stack.url}/api/v1/reports", json={"kind": "statement", "format": "csv"}, timeout=10)
    assert asked.status_code == 202
    job = f"{stack.url}/api/v1/jobs/{asked.json()['id']}"
    for _ in range(300):
        done = member.get(job, timeout=10).json()
        if done["finished_at"]:
            break
        time.sleep(0.1)
    assert done["status"] == "succeeded"
    assert member.get(stack.url + done["result_url"].removeprefix(stack.url), timeout=10).status_code == 200


def test_files_stream_in_and_out(stack: Stack, member: requests.Session) -> None:
    content = bytes(range(256)) * 4096 * 9  # 9 MiB
    made = member.post(f"{stack.url}/api/v1/files", files={"file": ("a.bin", content)}, timeout=30)
    assert (made.status_code, made.json()["size"]) == (201, len(content))
    url = stack.url + made.json()["url"].removeprefix(stack.url)
    assert member.get(url, timeout=30).content == content
    part = member.get(url, headers={"Range": "bytes=100-199"}, timeout=30)
    assert (part.status_code, part.content) == (206, content[100:200])


def test_long_json_is_compressed_and_its_tag_still_counts(stack: Stack, member: requests.Session) -> None:
    made = member.post(f"{stack.url}/api/v1/posts", json={"title": "Long", "content": "long " * 1000}, timeout=10)
    url = f"{stack.url}/api/v1/posts/{made.json()['id']}"
    raw = member.get(url, headers={"Accept-Encoding": "gzip"}, stream=True, timeout=10)
    assert (raw.headers["Content-Encoding"], "Accept-Encoding" in raw.headers["Vary"]) == ("gzip", True)
    assert json.loads(gzip.decompress(raw.raw.read(decode_content=False))) == made.json()
    tag = raw.headers["ETag"]
    assert tag.startswith("W/")
    assert member.get(url, headers={"If-None-Match": tag}, timeout=10).status_code == 304
    assert member.patch(url, json={"title": "L"}, headers={"If-Match": tag}, timeout=10).status_code == 200


def test_a_client_cannot_say_where_it_comes_from(stack: Stack) -> None:
    spoofed = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Host": "evil.example.com",
        "X-Forwarded-Proto": "https",
        "X-Real-IP": "6.6.6.6",
        "Forwarded": "for=6.6.6.6;host=evil.example.com;proto=https",
    }
    other = {"email": "spoof@example.com", "password": "Correct-horse-1"}
    requests.post(f"{stack.url}/api/v1/users", json={**other, "name": "Spoofer"}, timeout=10)
    signed_in = requests.post(f"{stack.url}/auth/login", json=other, headers=spoofed, timeout=10)
    assert "Strict-Transport-Security" not in signed_in.headers
    bearer = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    sessions = requests.get(f"{stack.url}/auth/sessions", headers=bearer, timeout=10).json()["sessions"]
    assert [session["address"] for session in sessions] == ["127.0.0.1"]
    page = requests.get(f"{stack.url}/api/v1/posts", headers=spoofed, timeout=10)
    assert "evil" not in page.text + str(page.headers)


def test_a_request_has_one_id_in_the_answer_and_in_both_logs(stack: Stack) -> None:
    own = requests.get(f"{stack.url}/health", headers={"X-Request-ID": "my-own.id_1"}, timeout=10)
    assert own.headers["X-Request-ID"] == "my-own.id_1"
    for unfit in ("short", "a" * 129, "with space", 'quote"quote'):
        answer = requests.get(f"{stack.url}/health", headers={"X-Request-ID": unfit}, timeout=10)
        given = answer.headers["X-Request-ID"]
        assert given != unfit
        end = time.monotonic() + 10  # Nginx writes its line after the answer.
        while f'"request_id": "{given}"' not in (stack.folder / "nginx.log").read_text():
            assert time.monotonic() < end
            time.sleep(0.05)
        own_logs = "".join((stack.folder / f"{name}.log").read_text() for name in stack.web_ports)
        assert f'"request_id":"{given}"' in own_logs


def test_a_long_query_is_answered_with_a_link_that_leads_on(stack: Stack, member: requests.Session) -> None:
    word = "\u4e2d" * 198
    for title in "ab":
        post = {"title": title, "content": word}
        assert member.post(f"{stack.url}/api/v1/posts", json=post, timeout=10).status_code == 201
    found = requests.get(f"{stack.url}/api/v1/posts", params={"q": word, "per_page": "1"}, timeout=10)
    assert (found.status_code, found.json()["total"]) == (200, 2)
    following = requests.get(stack.url + found.links["next"]["url"], timeout=10)
    assert [post["title"] for post in following.json()["posts"]] == ["a"]


def test_the_longest_query_that_is_taken_is_answered(stack: Stack) -> None:
    ids = ",".join(str(10**17 + number) for number in range(100))
    query = "&".join(f"{name}__in={ids}" for name in ("seller_id", "price", "stock"))
    found = requests.get(f"{stack.url}/api/v1/products?{query}", timeout=10)
    assert (found.status_code, len(found.headers["Link"]) > 6_000) == (200, True)


def test_the_logs_hold_no_query(stack: Stack) -> None:
    requests.get(f"{stack.url}/api/v1/posts?q=my-secret-word", timeout=10)
    assert "my-secret-word" not in "".join(log.read_text() for log in stack.folder.glob("*.log"))


def test_metrics_are_closed_however_they_are_spelt(stack: Stack) -> None:
    for path in ("/metrics", "/metrics/", "//metrics", "/%6Detrics", "/./metrics", "/health/../metrics"):
        with requests.Session() as session:
            request = requests.Request("GET", stack.url).prepare()
            request.url = stack.url + path
            refused = session.send(request, timeout=10)
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found"), path


def test_what_can_be_done_with_metrics_is_told_as_of_all_that_there_is(stack: Stack) -> None:
    answer = requests.options(f"{stack.url}/metrics", timeout=10)
    assert (answer.status_code, set(answer.headers["Allow"].split(", "))) == (200, {"GET", "HEAD", "OPTIONS"})
    for method in ("HEAD", "POST", "DELETE"):
        assert requests.request(method, f"{stack.url}/metrics", timeout=10).status_code == 404


def test_nginx_does_not_tell_its_version(stack: Stack) -> None:
    assert requests.get(f"{stack.url}/health", timeout=10).headers["Server"] == "nginx"


def test_the_load_is_spread_over_both_instances(stack: Stack) -> None:
    for _ in range(20):
        requests.get(f"{stack.url}/health", headers={"X-Request-ID": "spread-load"}, timeout=10)
    for name in stack.web_ports:
        assert "spread-load" in (stack.folder / f"{name}.log").read_text()


def test_with_a_certificate_in_its_folder_it_speaks_tls(stack: Stack, project: Path) -> None:
    port = free_port()
    folder = stack.folder / "tls"
    folder.mkdir()
    proxy = nginx(folder, listen=f"127.0.0.1:{free_port()}", web=[f"127.0.0.1:{stack.web_ports['web1']}"])
    include = folder / "nginx" / "include"
    certificate, key = make_certificate(include)
    tls = (project / "deploy" / "nginx" / "tls.conf").read_text().replace("8443", f"127.0.0.1:{port}")
    for name, file in (("fullchain", certificate), ("privkey", key)):
        tls = tls.replace(f"/etc/nginx/agora/{name}.pem", file)
    (include / "tls.conf").write_text(tls)
    check(proxy)
    proxy.start()
    try:
        until_it_listens(port)
        for path in ("/health", "/metrics"):
            answer = requests.get(f"https://localhost:{port}{path}", verify=certificate, timeout=10)
            assert answer.headers["Strict-Transport-Security"].startswith("max-age="), path
    finally:
        proxy.stop()


def until_it_listens(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return


def check(proxy: Process) -> None:
    """Let Nginx itself read its configuration."""
    subprocess.run([*proxy.command[:-2], "-t"], check=True)


def test_the_configuration_passes_nginxs_own_check(stack: Stack) -> None:
    check(stack.processes["nginx"])
