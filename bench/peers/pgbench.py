"""The database's own rate: the statements of the bare WSGI callable, sent by PostgreSQL's own pgbench."""

ME = """
\\set member random(1, 10000)
SELECT id, name, created_at, email, role, is_active, notify_by_email, email_verified, updated_at
FROM users WHERE id = :member AND is_active;
"""
NEWEST = """
SELECT p.id, p.title, p.content, p.is_hidden, p.user_id, p.created_at, p.updated_at, u.name AS author
FROM posts p JOIN users u ON u.id = p.user_id WHERE NOT p.is_hidden
"""
CALLER = "SELECT id, name FROM users WHERE id = :member AND is_active;"

SCRIPTS = {
    "W1": ME,
    "W2": f"""
SELECT count(*) FROM posts WHERE NOT is_hidden;
{NEWEST} ORDER BY p.created_at DESC, p.id DESC LIMIT 20;
""",
    "W2k": f"""
\\set seconds random(1, 500000)
{NEWEST} AND (p.created_at, p.id) < (now() - :seconds * interval '1 s', 1000000000)
ORDER BY p.created_at DESC, p.id DESC LIMIT 21;
""",
    "W3": f"""
\\set member random(1, 10000)
{CALLER}
INSERT INTO posts (user_id, title, content, created_at, updated_at, search_text)
VALUES (:member, 'Surplus tomatoes', repeat('Come by with a basket. ', 20), now(), now(),
    'surplus tomatoes' || repeat('come by with a basket. ', 20))
RETURNING id, created_at;
""",
    "W4": f"""
\\set member random(1, 5000)
\\set receiver random(5001, 10000)
{CALLER}
WITH locked AS (
    SELECT user_id, balance FROM plain_accounts WHERE user_id IN (:member, :receiver) ORDER BY user_id FOR UPDATE
), moved AS (
    UPDATE plain_accounts a SET balance = l.balance + CASE WHEN l.user_id = :member THEN -1 ELSE 1 END
    FROM locked l WHERE a.user_id = l.user_id RETURNING 1
)
INSERT INTO plain_transfers (sender_id, receiver_id, amount, memo, created_at)
VALUES (:member, :receiver, 1, '', now()) RETURNING id, created_at;
""",
}
