"""What single callers may send to weigh on all others: bodies, searches, files and connections of the worst kind."""

import io
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import requests
from PIL import Image

from deploy.drill.arena import AT_ONCE, WINDOW, Arena, Attack

LONG_POSTS = 2_000
LIGATURE = "\ufdfa"  # the widest character that there is


def _json(value: Any) -> dict[str, Any]:
    return {"data": json.dumps(value, separators=(",", ":")), "headers": {"Content-Type": "application/json"}}


def many_lines(arena: Arena) -> None:
    """Order 300,000 lines without a product."""
    sent = _json({"lines": [{}] * 300_000})
    answer = arena.send("POST", "/api/v1/orders", **sent)
    arena.expect("300,000 lines", answer.status_code, 400)
    if len(answer.content) > 10_000:
        arena.found.append(f"an answer of {len(answer.content)} bytes")
    arena.flood("POST", "/api/v1/orders", **sent)


def many_keys(arena: Arena) -> None:
    """Sign up with 100,000 unknown fields."""
    sent = _json({f"k{number}": 0 for number in range(80_000)})
    arena.expect("80,000 keys", arena.send("POST", "/api/v1/users", **sent).status_code, 400)
    arena.flood("POST", "/auth/login", **sent)


def many_words(arena: Arena) -> None:
    """Search for sixty short words; then for eight that are in no index, in two thousand long posts of one's own."""
    words = "+".join(f"{chr(97 + number % 26)}{number // 26}" for number in range(60))
    arena.expect("60 words", arena.send("GET", f"/api/v1/posts?q={words}").status_code, 400)
    post = {"title": "Long", "content": "a b c d e f g " * 3_500}

    def send(_number: int) -> requests.Response:
        return arena.send("POST", "/api/v1/posts", json=post)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for answer in pool.map(send, range(LONG_POSTS)):
            arena.expect("a long post", answer.status_code, 201)
    for status in arena.flood("GET", "/api/v1/posts?q=a+b+c+d+e+f+g+zz"):
        arena.expect("a broad search", status, 200, 400, 503)


def long_query(arena: Arena) -> None:
    """Search for what makes the longest address."""
    address = "/api/v1/posts?q=" + "\u4e2d" * 198
    arena.expect("198 Han characters", arena.send("GET", address).status_code, 200)
    arena.flood("GET", address)


def pictures(arena: Arena) -> None:
    """Upload pictures that are small as files and large as pictures."""
    frames = [Image.new("RGB", (5792, 5792), color) for color in ("red", "blue")]
    webp, jpeg = io.BytesIO(), io.BytesIO()
    frames[0].save(webp, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    frames[0].save(jpeg, "JPEG", progressive=True)
    scan = jpeg.getvalue()
    last = scan.rindex(b"\xff\xda")
    ids = [arena.upload("bomb.webp", webp.getvalue()) for _ in range(3)]
    ids += [arena.upload("bomb.jpg", scan[:last] + scan[last:-2] * 50 + scan[-2:])]
    time.sleep(3 * WINDOW)
    for file_id in ids:
        arena.expect("a file", arena.send("GET", f"/api/v1/files/{file_id}").status_code, 200)


def ligatures(arena: Arena) -> None:
    """Withdraw nothing, but ask for a statement with a memo of a hundred ligatures."""
    sent = {"receiver_id": 1, "amount": 1, "memo": LIGATURE * 100}
    arena.expect("a transfer", arena.send("POST", "/api/v1/transfers", json=sent).status_code, 201)
    asked = arena.send("POST", "/api/v1/reports", json={"kind": "statement", "format": "pdf"})
    job = arena.finished_job(asked)
    if job["status"] != "succeeded":
        arena.found.append(f"a statement with ligatures has {job['status']}: {job['error']}")


def commas(arena: Arena) -> None:
    """Import two million bytes of nothing but bad rows."""
    file_id = arena.upload("bad.csv", b"name,price\r\n" + b",\r\n" * 600_000)
    asked = arena.send("POST", "/api/v1/imports", json={"kind": "products", "file_id": file_id, "mode": "validate"})
    job = arena.finished_job(asked)
    if job["status"] != "succeeded":
        arena.found.append(f"an import of commas has {job['status']}: {job['error']}")
        return
    size = len(arena.send("GET", job["result_url"]).content)
    if size > 1_000_000:
        arena.found.append(f"a report of bad rows of {size} bytes")


def many_jobs(arena: Arena) -> None:
    """Ask for as many reports as one is given."""
    answers = [
        arena.send("POST", "/api/v1/reports", json={"kind": "sales", "format": "csv"}).status_code for _ in range(60)
    ]
    if set(answers) - {202, 409}:
        arena.found.append(f"reports are answered {sorted(set(answers))}")


def slow_senders(arena: Arena) -> None:
    """Hold every thread of a Gunicorn that stands alone, by heads and bodies that never end."""
    port = next(iter(arena.stack.web_ports.values()))
    head = b"GET /api/v1/posts HTTP/1.1\r\nHost: h\r\nX-Slow: "
    body = b"POST /auth/login HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    with ExitStack() as connections:
        for number in range(2 * AT_ONCE):
            connection = connections.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall((head, body)[number % 2])
        time.sleep(1)
        try:
            answer = requests.get(f"http://127.0.0.1:{port}/health", timeout=2)
            arena.expect("/health behind slow senders", answer.status_code, 200)
        except requests.RequestException as error:
            arena.found.append(f"/health behind slow senders: {type(error).__name__}")
        time.sleep(WINDOW)


ATTACKS = (
    Attack("lines", "orders of 300,000 lines", many_lines),
    Attack("keys", "bodies of 80,000 unknown fields", many_keys),
    Attack("words", f"broad searches in {LONG_POSTS:,} long posts", many_words),
    Attack("query", "addresses of 1,800 bytes", long_query),
    Attack("pictures", "pictures of 100 megapixels in a small file", pictures),
    Attack("ligatures", "a statement of the widest text", ligatures),
    Attack("commas", "an import of 600,000 bad rows", commas),
    Attack("jobs", "60 reports at once", many_jobs),
    Attack("senders", "heads and bodies that never end", slow_senders),
)
