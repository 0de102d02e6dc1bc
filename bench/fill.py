"""The rows that are measured on. PostgreSQL makes them itself, the same every time."""

import random
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg2

PASSWORD = "Correct-horse-1"
OPENING = 10_000_000  # minor units that every member begins with
WORDS = """
    garden bread bicycle lesson honey repair market neighbour Saturday workshop ladder piano tomatoes credits community
    library basket window kitchen evening morning river street table winter summer paper music letter coffee candle
    blanket shovel bucket hammer needle thread button jacket stall corner square church school teacher pupil carpenter
    baker farmer doctor driver painter borrow return offer search lend share quiet heavy yellow green simple careful
"""
EVERYWHERE, SELDOM = "marmalade", "quicksilver"  # words that only the search looks for
TEXTS = 1_000


@dataclass(frozen=True)
class Size:
    """How many members, posts and transfers; and how many more transfers single members (by id) have sent."""

    members: int = 10_000
    posts: int = 200_000
    transfers: int = 500_000
    busy: tuple[tuple[int, int], ...] = ()


POSTS = """
    INSERT INTO posts (user_id, title, content, created_at, updated_at, search_text)
    SELECT 1 + i::bigint * 7919 %% %(members)s, title, content, moment, moment, lower(title || E'\n' || content)
    FROM (
        SELECT i, texts.title || ' ' || i AS title, now() - (%(posts)s - i + 1) * interval '5 s' AS moment,
            texts.content || CASE WHEN i %% 10 = 0 THEN ' ' || %(everywhere)s ELSE '' END
            || CASE WHEN i %% (%(posts)s / 25) = 0 THEN ' ' || %(seldom)s ELSE '' END AS content
        FROM generate_series(1, %(posts)s) AS i JOIN texts ON texts.n = i %% %(texts)s
    ) AS made ORDER BY i
"""
MEMBERS = """
    INSERT INTO users (name, email, email_key, password_hash, created_at, updated_at, search_text)
    SELECT 'Member ' || n, address, address, first.password_hash, moment, moment, 'member ' || n
    FROM generate_series(2, %(members)s) AS n,
        LATERAL (SELECT 'member' || n || '@example.com' AS address) AS named,
        LATERAL (SELECT now() - interval '1 y' + n * interval '1 s' AS moment) AS timed,
        (SELECT password_hash FROM users WHERE id = 1) AS first
    ORDER BY n
"""
# Every member is given a deposit, so that nobody runs out of credits; the account of member n is n + 1.
MOVES = (
    "SELECT setseed(0.5)",
    """
    CREATE TEMP TABLE moves AS
    SELECT row_number() OVER (ORDER BY part, n) AS id, *, now() - interval '180 d' + n * interval '10 ms' AS moment
    FROM (
        SELECT 0 AS part, n, NULL::bigint AS sender, n::bigint AS receiver, %(opening)s AS amount
        FROM generate_series(1, %(members)s) AS n
        UNION ALL
        SELECT 1, n, sender, 1 + (sender + floor(random() * (%(members)s - 1))::bigint) %% %(members)s, 1 + n %% 50
        FROM (
            SELECT n, 1 + floor(random() * %(members)s)::bigint AS sender FROM generate_series(1, %(transfers)s) AS n
            UNION ALL
            SELECT n, member FROM unnest(%(busy)s::bigint[], %(sent)s::int[]) AS busy (member, number),
                generate_series(1, number) AS n
        ) AS sent
    ) AS parts
    """,
    "INSERT INTO accounts (id, kind, user_id, created_at, updated_at) SELECT 1, 'issuing', NULL, now(), now()",
    """
    INSERT INTO accounts (id, kind, user_id, created_at, updated_at)
    SELECT n + 1, 'member', n, now(), now() FROM generate_series(1, %(members)s) AS n
    """,
    """
    INSERT INTO transfers (id, kind, sender_id, receiver_id, amount, created_at)
    SELECT id, CASE WHEN sender IS NULL THEN 'deposit' ELSE 'transfer' END, sender, receiver, amount, moment FROM moves
    """,
    """
    INSERT INTO entries (transfer_id, account_id, amount, balance_after, created_at)
    SELECT id, account, change, sum(change) OVER (PARTITION BY account ORDER BY id), moment
    FROM (
        SELECT id, moment, coalesce(sender + 1, 1) AS account, -amount AS change FROM moves
        UNION ALL SELECT id, moment, receiver + 1, amount FROM moves
    ) AS sides ORDER BY id
    """,
    "INSERT INTO memos (transfer_id, text) SELECT id, 'Thank you!' FROM moves WHERE id %% 5 = 0 AND sender IS NOT NULL",
    """
    UPDATE accounts SET balance = found.balance
    FROM (SELECT account_id, sum(amount) AS balance FROM entries GROUP BY account_id) AS found WHERE id = account_id
    """,
    "SELECT setval('accounts_id_seq', (SELECT max(id) FROM accounts))",
    "SELECT setval('transfers_id_seq', (SELECT max(id) FROM transfers))",
)
# What the peers move credits in: a balance and a row for each transfer, and no ledger.
PLAIN = (
    """
    CREATE TABLE plain_accounts (
        user_id bigint PRIMARY KEY REFERENCES users, balance bigint NOT NULL CHECK (balance >= 0)
    )
    """,
    """
    CREATE TABLE plain_transfers (
        id bigserial PRIMARY KEY,
        sender_id bigint NOT NULL REFERENCES users,
        receiver_id bigint NOT NULL REFERENCES users,
        amount bigint NOT NULL,
        memo text NOT NULL,
        created_at timestamptz NOT NULL
    )
    """,
    "INSERT INTO plain_accounts SELECT user_id, balance FROM accounts WHERE kind = 'member' ORDER BY user_id",
    """
    INSERT INTO plain_transfers (sender_id, receiver_id, amount, memo, created_at)
    SELECT sender, receiver, amount, '', moment FROM moves WHERE sender IS NOT NULL ORDER BY id
    """,
)


def fill(dsn: str, size: Size, environment: Mapping[str, str]) -> None:
    """Migrate an empty database with Agora's own migrations, and fill it.

    The member with the id 1 is a treasurer, made by Agora's own command; the others have the same password.
    """
    flask = (sys.executable, "-m", "flask", "--app", "wsgi")
    first = ("create-user", "member1@example.com", "--name", "Member 1", "--role", "treasurer", "--password", PASSWORD)
    for command in (("db", "upgrade"), first):
        subprocess.run([*flask, *command], env=dict(environment), check=True, capture_output=True)
    values = {
        **vars(size),
        "busy": [member for member, _ in size.busy],
        "sent": [number for _, number in size.busy],
        "opening": OPENING,
        "texts": TEXTS,
        "everywhere": EVERYWHERE,
        "seldom": SELDOM,
    }
    connection = psycopg2.connect(dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # No foreign key is checked row by row.
        cursor.execute("CREATE TEMP TABLE texts (n int, title text, content text)")
        cursor.executemany("INSERT INTO texts VALUES (%s, %s, %s)", _texts())
        for statement in (MEMBERS, POSTS, *MOVES, *PLAIN):
            cursor.execute(statement, values)
    connection.close()
    tidy(dsn)


def tidy(dsn: str) -> None:
    """Vacuum and checkpoint, so that nobody pays for what another has left behind."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
    connection.close()


def _texts() -> list[tuple[int, str, str]]:
    chance, words = random.Random(1), WORDS.split()
    return [
        (n, " ".join(chance.sample(words, 4)).capitalize(), " ".join(chance.choices(words, k=70)).capitalize() + ".")
        for n in range(TEXTS)
    ]
