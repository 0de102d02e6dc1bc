"""Commands of the ``flask`` program."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Unpack

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from flask_migrate import upgrade
from flask_migrate.cli import migrate as migrate_command
from sqlalchemy.exc import DBAPIError

from app import devserver, scaffold, seed
from app.core.caller import ANONYMOUS, Caller
from app.core.db import migrations
from app.core.db.base import Record
from app.core.errors import AppError, ValidationFailed
from app.core.permissions import ROLES
from app.core.schema import load
from app.core.unit_of_work import unit_of_work
from app.credentials import service as credentials
from app.extensions import db
from app.users import service as users
from app.users.models import User, email_key
from app.users.schemas import SignUpSchema
from app.wallet import verification

# Who runs a command: nobody who has signed in, with every right.
OPERATOR = Caller(id=None, permissions=ROLES["admin"])
BATCH_SIZE = 1_000  # accounts that are read at once


def init_app(app: Flask) -> None:
    """Add the commands to ``flask``."""
    accounts = create_user, list_users, set_password, set_role, disable, enable
    for command in (*accounts, fill_database, prepare, ledger, devserver.up):
        app.cli.add_command(command)
    if app.config["FLASK_ENV"] != "production":
        app.cli.add_command(scaffold.new_resource)


def _upgrade_first(command: click.Command) -> None:
    """Have ``flask db migrate`` upgrade the database that it compares with: Alembic refuses one that is behind."""
    generate = command.callback

    @wraps(generate)  # type: ignore[arg-type]
    def upgrade_and_generate(directory: str | None, *args: Any, **options: Any) -> Any:
        upgrade(directory=directory)
        return generate(directory, *args, **options)  # type: ignore[misc]

    command.callback = upgrade_and_generate


_upgrade_first(migrate_command)


PASSWORD = click.option("--password", help="The password; - reads it from standard input. Asked for when left out.")


@contextmanager
def _refusals() -> Iterator[None]:
    """End a command with a message for people where the service refuses, or its database is away."""
    try:
        yield
    except ValidationFailed as error:
        reasons = (f"{field}: {' '.join(why)}" for field, why in (error.errors or {}).items())
        raise click.ClickException("\n".join(reasons)) from None
    except AppError as error:
        raise click.ClickException(error.message) from None
    except DBAPIError as error:
        raise click.ClickException(_message_of(error)) from None


def _sent_password(password: str | None) -> str:
    if password == "-":
        return sys.stdin.readline().rstrip("\r\n")
    return password or str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


@click.command("create-user")
@click.argument("email")
@click.option("--name", prompt=True, help="The name that others see.")
@click.option("--role", type=click.Choice(tuple(ROLES)), default="member", show_default=True, prompt=True)
@PASSWORD
@with_appcontext
def create_user(email: str, name: str, role: str, password: str | None) -> None:
    """Create an account for EMAIL, in any role."""
    with _refusals():
        fields = load(SignUpSchema, {"email": email, "name": name, "password": _sent_password(password)})
        account = users.with_hashed_password(ANONYMOUS, fields)
        user = unit_of_work(lambda: users.create_user(**account, role=role))
    click.echo(f"Created the {role} {user.email} with the id {user.id}.")


@click.command("list-users")
@with_appcontext
def list_users() -> None:
    """List all accounts: id, role, state, e-mail and name, separated by tabs."""
    with _refusals():
        for user in _all_accounts():
            state = "active" if user.is_active else "disabled"
            click.echo(f"{user.id}\t{user.role}\t{state}\t{user.email}\t{user.name}")


def _all_accounts() -> Iterator[Record]:
    """Yield the accounts by their ids, a batch at a time."""
    query, last = users.list_users(OPERATOR).order_by(User.id).limit(BATCH_SIZE), 0
    while batch := db.session.execute(query.where(User.id > last)).all():
        yield from batch
        last = batch[-1].id


@click.command("set-password")
@click.argument("email")
@PASSWORD
@with_appcontext
def set_password(email: str, password: str | None) -> None:
    """Set the password of the account EMAIL, and end its sessions."""
    with _refusals():
        user = _account(email)
        sent = load(SignUpSchema, {"password": _sent_password(password)}, partial=True)["password"]
        new_hash = users.hash_new_password(sent, (user.name, user.email), field="password")
        unit_of_work(lambda: credentials.set_password(user.id, new_hash=new_hash))
    click.echo(f"{user.email} has a new password, and is signed out everywhere.")


@click.command("set-role")
@click.argument("email")
@click.argument("role", type=click.Choice(tuple(ROLES)))
@with_appcontext
def set_role(email: str, role: str) -> None:
    """Give the account EMAIL the role ROLE."""
    _update(email, role=role)
    click.echo(f"{email} is {role} now.")


@click.command()
@click.argument("email")
@with_appcontext
def disable(email: str) -> None:
    """Disable the account EMAIL, and end its sessions."""
    _update(email, is_active=False)
    click.echo(f"{email} is disabled, and signed out everywhere.")


@click.command()
@click.argument("email")
@with_appcontext
def enable(email: str) -> None:
    """Enable the account EMAIL again; its old sessions stay ended."""
    _update(email, is_active=True)
    click.echo(f"{email} is enabled.")


def _account(email: str) -> Record:
    """Return the account of an address. Raises ClickException."""
    user = db.session.execute(users.list_users(OPERATOR).where(User.email_key == email_key(email))).one_or_none()
    if user is None:
        raise click.ClickException(f"No account has the address {email}. flask list-users shows those that there are.")
    return user


def _update(address: str, **changes: Unpack[users.UserChanges]) -> None:
    with _refusals():
        user_id = _account(address).id
        unit_of_work(lambda: users.update_user(OPERATOR, user_id, **changes))


@click.command("seed")
@click.option("--members", type=click.IntRange(10), default=seed.Size.members, show_default=True)
@click.option("--posts", type=click.IntRange(1), default=seed.Size.posts, show_default=True)
@click.option("--transfers", type=click.IntRange(0), default=seed.Size.transfers, show_default=True)
@with_appcontext
def fill_database(members: int, posts: int, transfers: int) -> None:
    """Fill an empty database with a demo market; with large numbers, for load tests."""
    size = seed.Size(members, posts, transfers)
    if current_app.config["FLASK_ENV"] == "production":
        raise click.ClickException("The demo members have a published password: not in production.")
    try:
        if not seed.is_empty():
            click.echo("The database has members already: nothing to do.")
            return
        with click.progressbar(length=size.rows, label="Filling the database with demo data") as bar:
            unit_of_work(lambda: seed.fill(size, bar.update))
        seed.deliver_notifications()
    except DBAPIError as error:
        raise click.ClickException(_message_of(error)) from None
    click.echo(f"Created {members} members, {posts} posts and {transfers} transfers. The password is {seed.PASSWORD}")


@click.command()
@click.pass_context
@with_appcontext
def prepare(context: click.Context) -> None:
    """Make the database ready: migrate it, and in development fill an empty one with demo data."""
    click.echo(f"==> Migrating {db.engine.url.render_as_string()}")
    try:
        _refuse_newer_database()
        upgrade(directory=str(migrations.FOLDER))
        if current_app.config["FLASK_ENV"] == "development" and seed.is_empty():
            context.invoke(
                fill_database, members=seed.Size.members, posts=seed.Size.posts, transfers=seed.Size.transfers
            )
    except DBAPIError as error:
        raise click.ClickException(_message_of(error)) from None


ledger = AppGroup("ledger", help="The community's books.")


@ledger.command()
def verify() -> None:
    """Verify the whole ledger, print the accounts whose balance is wrong, and store the result for the API."""
    with click.progressbar(length=verification.last_id(), label="Verifying the ledger") as bar:
        result = unit_of_work(lambda: verification.verify_ledger(bar.update), snapshot=True)
    for wrong in result["mismatches"]:
        click.echo(f"Account {wrong['account_id']}: balance {wrong['balance']}, entries {wrong['computed']}", err=True)
    if not result["balanced"]:
        raise click.ClickException("The ledger does not balance.")
    click.echo(f"Balanced: {result['entries']} entries of {result['accounts']} accounts, {result['issued']} issued.")


def _refuse_newer_database() -> None:
    with db.engine.connect() as connection:
        revision = migrations.current_revision(connection)
    if revision is not None and revision not in migrations.known_revisions():
        raise click.ClickException(
            f"The database is at revision {revision}, which this code does not know: a newer version has migrated it. "
            "Update the code, or set DATABASE_URL to another database."
        )


def _message_of(error: DBAPIError) -> str:
    """Return a message for people: what the database said, and where it is."""
    reason = str(error.orig).strip().splitlines()[0] if error.orig else type(error).__name__
    return (
        f"The database {db.engine.url.render_as_string()} cannot be used: {reason}\n"
        "Is it running and migrated (flask db upgrade), and is DATABASE_URL right?"
    )
