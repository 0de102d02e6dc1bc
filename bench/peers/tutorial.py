"""The same stack as tutorials write it: Flask-RESTful, entities, marshmallow, a lazy author, sync workers."""

import base64
import os
from datetime import UTC, datetime

from flask import Flask, request
from flask_jwt_extended import JWTManager, current_user, jwt_required
from flask_restful import Api, Resource, abort
from flask_sqlalchemy import SQLAlchemy
from marshmallow import Schema, ValidationError, fields, validate
from sqlalchemy import tuple_

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://")
app.config["JWT_SECRET_KEY"] = os.environ["JWT_SECRET_KEY"]
app.config["JWT_DECODE_AUDIENCE"] = "agora:access"
app.config["PROPAGATE_EXCEPTIONS"] = True
db = SQLAlchemy(app)
jwt = JWTManager(app)
api = Api(app)


def now():
    return datetime.now(UTC)


class User(db.Model):
    __tablename__ = "users"
    id = db.Column(db.BigInteger, primary_key=True)
    name = db.Column(db.String(80), nullable=False)
    email = db.Column(db.String(120), unique=True)
    password_hash = db.Column(db.String(255))
    role = db.Column(db.String(20), nullable=False)
    is_active = db.Column(db.Boolean, nullable=False)
    notify_by_email = db.Column(db.Boolean, nullable=False)
    email_verified = db.Column(db.Boolean, nullable=False)
    created_at = db.Column(db.DateTime(timezone=True), default=now)
    updated_at = db.Column(db.DateTime(timezone=True), default=now)


class Post(db.Model):
    __tablename__ = "posts"
    id = db.Column(db.BigInteger, primary_key=True)
    user_id = db.Column(db.BigInteger, db.ForeignKey("users.id"), nullable=False)
    title = db.Column(db.String(200), nullable=False)
    content = db.Column(db.Text, nullable=False)
    is_hidden = db.Column(db.Boolean, default=False, nullable=False)
    created_at = db.Column(db.DateTime(timezone=True), default=now)
    updated_at = db.Column(db.DateTime(timezone=True), default=now)
    search_text = db.deferred(db.Column(db.Text, nullable=False))
    user = db.relationship("User", backref=db.backref("posts", lazy=True))

    @property
    def author(self):
        return self.user.name


class Account(db.Model):
    __tablename__ = "plain_accounts"
    user_id = db.Column(db.BigInteger, db.ForeignKey("users.id"), primary_key=True)
    balance = db.Column(db.BigInteger, nullable=False)


class Transfer(db.Model):
    __tablename__ = "plain_transfers"
    id = db.Column(db.BigInteger, primary_key=True)
    sender_id = db.Column(db.BigInteger, db.ForeignKey("users.id"), nullable=False)
    receiver_id = db.Column(db.BigInteger, db.ForeignKey("users.id"), nullable=False)
    amount = db.Column(db.BigInteger, nullable=False)
    memo = db.Column(db.Text, nullable=False)
    created_at = db.Column(db.DateTime(timezone=True), default=now)
    kind = "transfer"
    reverses = None


class UserSchema(Schema):
    id = fields.Integer(dump_only=True)
    name = fields.String()
    email = fields.Email()
    role = fields.String()
    is_active = fields.Boolean()
    notify_by_email = fields.Boolean()
    email_verified = fields.Boolean()
    created_at = fields.DateTime(dump_only=True)
    updated_at = fields.DateTime(dump_only=True)


class PostSchema(Schema):
    id = fields.Integer(dump_only=True)
    title = fields.String(required=True, validate=validate.Length(1, 200))
    content = fields.String(required=True, validate=validate.Length(1, 50_000))
    is_hidden = fields.Boolean(dump_only=True)
    user_id = fields.Integer(dump_only=True)
    author = fields.String(dump_only=True)
    created_at = fields.DateTime(dump_only=True)
    updated_at = fields.DateTime(dump_only=True)


class TransferSchema(Schema):
    id = fields.Integer(dump_only=True)
    kind = fields.String(dump_only=True)
    sender_id = fields.Integer(dump_only=True)
    receiver_id = fields.Integer(required=True, strict=True)
    amount = fields.Integer(required=True, strict=True, validate=validate.Range(1, 10**12))
    memo = fields.String(load_default="", validate=validate.Length(max=200))
    reverses = fields.Integer(dump_only=True)
    created_at = fields.DateTime(dump_only=True)


user_schema, post_schema, transfer_schema = UserSchema(), PostSchema(), TransferSchema()
posts_schema = PostSchema(many=True)


@jwt.user_lookup_loader
def load_user(_header, claims):
    return User.query.filter_by(id=int(claims["sub"]), is_active=True).one_or_none()


def loaded(schema):
    try:
        return schema.load(request.get_json())
    except ValidationError as error:
        abort(400, errors=error.messages)


class Health(Resource):
    def get(self):
        return {"status": "healthy"}


class Me(Resource):
    @jwt_required()
    def get(self):
        return user_schema.dump(current_user)


class PostList(Resource):
    def get(self):
        newest = Post.query.filter_by(is_hidden=False).order_by(Post.created_at.desc(), Post.id.desc())
        if "cursor" in request.args:
            return self.by_cursor(newest)
        page = newest.paginate(page=request.args.get("page", 1, type=int), per_page=20)
        return {
            "posts": posts_schema.dump(page.items),
            "page": page.page,
            "per_page": page.per_page,
            "total": page.total,
            "pages": page.pages,
            "has_more": page.has_next,
        }

    def by_cursor(self, newest):
        size = min(request.args.get("per_page", 20, type=int), 100)
        if request.args["cursor"]:
            moment, post_id = base64.urlsafe_b64decode(request.args["cursor"]).decode().split(",")
            place = (datetime.fromisoformat(moment), int(post_id))
            newest = newest.filter(tuple_(Post.created_at, Post.id) < tuple_(*place))
        posts = newest.limit(size + 1).all()
        cursor = None
        if len(posts) > size:
            last = posts[size - 1]
            cursor = base64.urlsafe_b64encode(f"{last.created_at.isoformat()},{last.id}".encode()).decode()
        return {
            "posts": posts_schema.dump(posts[:size]),
            "per_page": size,
            "has_more": cursor is not None,
            "next_cursor": cursor,
        }

    @jwt_required()
    def post(self):
        sent = loaded(post_schema)
        post = Post(user_id=current_user.id, search_text=f"{sent['title']}\n{sent['content']}".casefold(), **sent)
        db.session.add(post)
        db.session.commit()
        return post_schema.dump(post), 201


class TransferList(Resource):
    @jwt_required()
    def post(self):
        sent = loaded(transfer_schema)
        ids = (current_user.id, sent["receiver_id"])
        found = Account.query.filter(Account.user_id.in_(ids)).order_by(Account.user_id).with_for_update().all()
        accounts = {account.user_id: account for account in found}
        if len(accounts) != 2:
            abort(404)
        sender, receiver = accounts[ids[0]], accounts[ids[1]]
        if sender.balance < sent["amount"]:
            abort(409)
        sender.balance -= sent["amount"]
        receiver.balance += sent["amount"]
        transfer = Transfer(sender_id=sender.user_id, **sent)
        db.session.add(transfer)
        db.session.commit()
        return transfer_schema.dump(transfer), 201


api.add_resource(Health, "/health")
api.add_resource(Me, "/auth/me")
api.add_resource(PostList, "/api/v1/posts")
api.add_resource(TransferList, "/api/v1/transfers")
