"""The public contract on one page: every URL, and the resource that is found there."""

from app.auth import resources as auth
from app.docs import resources as docs
from app.health import resources as health
from app.posts import resources as posts
from app.todos import resources as todos
from app.users import resources as users

ROUTES = (
    ("/auth/login", auth.Login),
    ("/auth/refresh", auth.Refresh),
    ("/auth/logout", auth.Logout),
    ("/auth/me", auth.Me),
    ("/auth/sessions", auth.SessionList),
    ("/auth/sessions/<id:session_id>", auth.SessionItem),
    ("/auth/permissions", auth.Permissions),
    ("/api/v1/users", users.UserList),
    ("/api/v1/users/<id:user_id>", users.UserItem),
    ("/api/v1/users/<id:user_id>/posts", posts.UserPostList),
    ("/api/v1/posts", posts.PostList),
    ("/api/v1/posts/<id:post_id>", posts.PostItem),
    ("/api/v1/todos", todos.TodoList),
    ("/api/v1/todos/<id:todo_id>", todos.TodoItem),
    ("/", docs.Root),
    ("/docs", docs.Docs),
    ("/docs/<string:name>", docs.DocsAsset),
    ("/openapi.json", docs.OpenApiDocument),
    ("/health", health.Health),
    ("/health/ready", health.Readiness),
)
