"""All that happens beside a request on one page: jobs, the timetable, who hears of which event, and what hooks call."""

from collections.abc import Sequence
from datetime import timedelta

from app.audit import service as audit
from app.auth import sessions
from app.core.background.dispatcher import MAIL_QUEUE
from app.core.background.events import Subscription
from app.core.hooks import Wiring
from app.core.http import idempotency
from app.core.unit_of_work import unit_of_work
from app.credentials import account_tokens
from app.credentials import jobs as account_mails
from app.credentials import listeners as credentials
from app.credentials.events import PasswordForgotten
from app.credentials.mails import ACCOUNT_EMAIL
from app.credentials.service import erase_credentials
from app.files import jobs as thumbnails
from app.files import service as files
from app.imports import jobs as import_jobs
from app.imports import service as imports
from app.jobs import service as jobs
from app.jobs.events import JobFinished
from app.jobs.kinds import JobKind, Run
from app.jobs.mails import ATTEMPTS
from app.jobs.runner import sweep_folders
from app.notifications import jobs as mails
from app.notifications import listeners as notifications
from app.notifications.service import EMAIL, erase_notifications
from app.orders import jobs as orders
from app.orders.events import OrderCancelled, OrderCompleted, OrderPlaced
from app.orders.service import refuse_with_open_orders
from app.posts.service import erase_posts
from app.products import service as products
from app.rates import jobs as rates
from app.reports import jobs as reports
from app.reports.service import REPORT
from app.todos.service import erase_todos
from app.users.events import EmailChanged, SignedUp
from app.users.service import user_deleting, user_disabling
from app.wallet import jobs as wallet
from app.wallet.events import TransferReceived
from app.wallet.service import refuse_unless_empty


def purge(_run: Run) -> dict[str, int]:
    """Erase what has expired."""
    return {
        "idempotency_keys": unit_of_work(idempotency.purge),
        "sessions": unit_of_work(sessions.purge_sessions),
        "audit": unit_of_work(audit.purge),
        "account_tokens": unit_of_work(account_tokens.purge),
        "jobs": unit_of_work(jobs.purge),
        "files": files.sweep() + jobs.sweep(),
        "folders": sweep_folders(),
    }


KINDS = (
    JobKind(imports.KIND, import_jobs.perform_import, attempts=5),
    JobKind(thumbnails.KIND, thumbnails.make, attempts=10),
    JobKind(REPORT, reports.write_report),
    JobKind("orders.complete", orders.complete_due, every=timedelta(minutes=10)),
    JobKind("ledger.check", wallet.check_ledger, every=timedelta(hours=1)),
    JobKind("rates.refresh", rates.refresh, every=timedelta(minutes=30)),
    JobKind("purge", purge, every=timedelta(hours=1)),
    JobKind(EMAIL, mails.send_mail, attempts=ATTEMPTS, queue=MAIL_QUEUE),
    JobKind(ACCOUNT_EMAIL, account_mails.send_mail, attempts=ATTEMPTS, queue=MAIL_QUEUE),
)

SUBSCRIPTIONS = (
    Subscription(SignedUp, credentials.on_signed_up),
    Subscription(EmailChanged, credentials.on_email_changed),
    Subscription(PasswordForgotten, credentials.on_password_forgotten),
    Subscription(OrderPlaced, notifications.on_order_placed),
    Subscription(OrderCompleted, notifications.on_order_completed),
    Subscription(OrderCancelled, notifications.on_order_cancelled),
    Subscription(TransferReceived, notifications.on_transfer_received),
    Subscription(JobFinished, notifications.on_job_finished),
)

# Who may refuse comes first; then each feature before those whose rows its own refer to.
HOOKS: Sequence[Wiring] = (
    user_deleting.calls(
        refuse_with_open_orders,
        refuse_unless_empty,
        erase_notifications,
        imports.erase_imports,
        products.withdraw_products,
        files.erase_files,
        erase_posts,
        erase_todos,
        erase_credentials,
        jobs.erase_jobs,
        sessions.end_all_of,
    ),
    user_disabling.calls(sessions.end_all_of),
    files.picture_uploaded.calls(thumbnails.ask_for_thumbnail),
    files.file_deleting.calls(imports.refuse_while_importing, products.keep_picture),
)
