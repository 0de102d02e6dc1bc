"""The limit: a bare WSGI callable with psycopg2 and orjson, under the same Gunicorn. Nothing here is kept general."""

import base64
import hashlib
import hmac
import os
import threading
import time
from urllib.parse import parse_qs

import orjson
import psycopg2

DSN, SECRET = os.environ["DATABASE_URL"], os.environ["JWT_SECRET_KEY"].encode()
JSON = ("Content-Type", "application/json")
STATUS = {200: "200 OK", 201: "201 Created", 400: "400 Bad Request", 401: "401 Unauthorized", 404: "404 Not Found",
          409: "409 Conflict"}  # fmt: skip
local = threading.local()

ME = "id, name, created_at, email, role, is_active, notify_by_email, email_verified, updated_at"
POST = "p.id, p.title, p.content, p.is_hidden, p.user_id, p.created_at, p.updated_at, u.name AS author"
NEWEST = f"SELECT {POST} FROM posts p JOIN users u ON u.id = p.user_id WHERE NOT p.is_hidden"
MOVE = """
    WITH locked AS (
        SELECT user_id, balance FROM plain_accounts WHERE user_id IN (%(sender)s, %(receiver)s)
        ORDER BY user_id FOR UPDATE
    ), allowed AS (
        SELECT 1 FROM locked HAVING count(*) = 2 AND bool_or(user_id = %(sender)s AND balance >= %(amount)s)
    ), moved AS (
        UPDATE plain_accounts a
        SET balance = l.balance + CASE WHEN l.user_id = %(sender)s THEN -%(amount)s ELSE %(amount)s END
        FROM locked l, allowed WHERE a.user_id = l.user_id RETURNING 1
    )
    INSERT INTO plain_transfers (sender_id, receiver_id, amount, memo, created_at)
    SELECT %(sender)s, %(receiver)s, %(amount)s, %(memo)s, now() FROM allowed RETURNING id, created_at
"""


class Refused(Exception):
    pass


def query(sql, values=()):
    connection = getattr(local, "connection", None)
    if connection is None:
        connection = local.connection = psycopg2.connect(DSN)
        connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor]


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def caller(environ):
    try:
        signed, _, signature = environ["HTTP_AUTHORIZATION"].removeprefix("Bearer ").rpartition(".")
        head, _, claims = signed.partition(".")
        good = hmac.compare_digest(hmac.digest(SECRET, signed.encode(), hashlib.sha256), decoded(signature))
        claims = orjson.loads(decoded(claims))
        if good and orjson.loads(decoded(head))["alg"] == "HS256" and claims["exp"] > time.time():
            return query(f"SELECT {ME} FROM users WHERE id = %s AND is_active", (int(claims["sub"]),))[0]
    except (KeyError, ValueError, IndexError):
        pass
    raise Refused(401)


def body(environ, fields):
    try:
        sent = orjson.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    except (KeyError, ValueError):
        raise Refused(400) from None
    if not isinstance(sent, dict) or sent.keys() != fields.keys():
        raise Refused(400)
    for name, (kind, least, most) in fields.items():
        value = sent[name]
        if type(value) is not kind or not least <= (len(value) if kind is str else value) <= most:
            raise Refused(400)
    return sent


def health(_environ):
    return 200, {"status": "healthy"}


def me(environ):
    return 200, caller(environ)


def posts(environ):
    asked = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
    if "cursor" not in asked:
        page = int(asked.get("page", ["1"])[0])
        total = query("SELECT count(*) AS total FROM posts WHERE NOT is_hidden")[0]["total"]
        rows = query(f"{NEWEST} ORDER BY p.created_at DESC, p.id DESC LIMIT 20 OFFSET %s", (20 * (page - 1),))
        pages = -(-total // 20)
        return 200, {"posts": rows, "page": page, "per_page": 20, "total": total, "pages": pages,
                     "has_more": page < pages}  # fmt: skip
    where, size = (), min(int(asked.get("per_page", ["20"])[0]), 100)
    narrowed = NEWEST
    if asked["cursor"][0]:
        where = orjson.loads(decoded(asked["cursor"][0]))
        narrowed += " AND (p.created_at, p.id) < (%s, %s)"
    rows = query(f"{narrowed} ORDER BY p.created_at DESC, p.id DESC LIMIT {size + 1}", where)
    more = len(rows) > size
    last = rows[size - 1] if more else None
    cursor = base64.urlsafe_b64encode(orjson.dumps([last["created_at"], last["id"]])).decode() if more else None
    return 200, {"posts": rows[:size], "per_page": size, "has_more": more, "next_cursor": cursor}


def create_post(environ):
    user = caller(environ)
    sent = body(environ, {"title": (str, 1, 200), "content": (str, 1, 50_000)})
    made = query(
        "INSERT INTO posts (user_id, title, content, created_at, updated_at, search_text) "
        "VALUES (%s, %s, %s, now(), now(), %s) "
        "RETURNING id, title, content, is_hidden, user_id, created_at, updated_at",
        (user["id"], sent["title"], sent["content"], f"{sent['title']}\n{sent['content']}".casefold()),
    )[0]
    return 201, made | {"author": user["name"]}


def transfer(environ):
    user = caller(environ)
    sent = body(environ, {"receiver_id": (int, 1, 2**63 - 1), "amount": (int, 1, 10**12), "memo": (str, 0, 200)})
    if sent["receiver_id"] == user["id"]:
        raise Refused(400)
    values = {"sender": user["id"], "receiver": sent["receiver_id"], "amount": sent["amount"], "memo": sent["memo"]}
    made = query(MOVE, values)
    if not made:
        raise Refused(409)
    return 201, {"id": made[0]["id"], "kind": "transfer", "sender_id": user["id"], **sent, "reverses": None,
                 "created_at": made[0]["created_at"]}  # fmt: skip


ROUTES = {
    ("GET", "/health"): health,
    ("GET", "/auth/me"): me,
    ("GET", "/api/v1/posts"): posts,
    ("POST", "/api/v1/posts"): create_post,
    ("POST", "/api/v1/transfers"): transfer,
}


def app(environ, start_response):
    route = ROUTES.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
    try:
        status, answer = route(environ) if route else (404, {"error": "Not Found"})
    except Refused as refused:
        status, answer = refused.args[0], {"error": STATUS[refused.args[0]]}
    content = orjson.dumps(answer, option=orjson.OPT_UTC_Z)
    start_response(STATUS[status], [JSON, ("Content-Length", str(len(content)))])
    return [content]
