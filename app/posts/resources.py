"""Posts at their URLs."""

from typing import Any

from app.core.caller import Caller
from app.core.errors import NotFound
from app.core.lists.listing import Filter, Listing
from app.core.permissions import Access
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource
from app.posts import service
from app.posts.models import Post
from app.posts.schemas import PostSchema

POSTS = Listing(
    "posts",
    PostSchema,
    Post,
    sort={"created_at": Post.created_at, "updated_at": Post.updated_at, "title": Post.title},
    filters={"user_id": Filter(Post.user_id), "created_at": Filter(Post.created_at)},
)

CHANGE = endpoint(
    permission="post:write",
    load=service.changeable_post,
    body=PostSchema,
    response=PostSchema,
    errors=(NotFound,),
)


class PostList(Resource):
    """All posts."""

    @endpoint(permission=Access.PUBLIC, listing=POSTS)
    def get(self, caller: Caller) -> Any:
        """List posts, the newest first. Hidden ones are seen by their authors and by moderators."""
        return service.list_posts(caller)

    @endpoint(permission="post:write", body=PostSchema, response=PostSchema, status=201, location="/api/v1/posts/{id}")
    def post(self, caller: Caller, **fields: Any) -> Any:
        """Create a post."""
        return service.create_post(caller, **fields)


class PostItem(Resource):
    """One post."""

    @endpoint(permission=Access.PUBLIC, response=PostSchema, errors=(NotFound,))
    def get(self, caller: Caller, post_id: int) -> Any:
        """Read a post."""
        return service.get_post(caller, post_id)

    @CHANGE
    def put(self, caller: Caller, post: Post, **fields: Any) -> Any:
        """Replace a post: one's own, or any for moderators."""
        return service.update_post(caller, post, **fields)

    @CHANGE
    def patch(self, caller: Caller, post: Post, **changes: Any) -> Any:
        """Change some of a post's fields: one's own, or any for moderators."""
        return service.update_post(caller, post, **changes)

    @endpoint(permission="post:write", load=service.changeable_post, status=204, errors=(NotFound,))
    def delete(self, caller: Caller, post: Post) -> None:
        """Delete a post: one's own, or any for moderators."""
        service.delete_post(caller, post)


class UserPostList(Resource):
    """The posts of one member."""

    @endpoint(permission=Access.PUBLIC, listing=POSTS, errors=(NotFound,))
    def get(self, caller: Caller, user_id: int) -> Any:
        """List the posts of one member."""
        return service.list_posts_of(caller, user_id)
