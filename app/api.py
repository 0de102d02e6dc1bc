"""The public contract on one page: every URL, and the resource that is found there."""

from app.audit import resources as audit
from app.auth import resources as auth
from app.credentials import resources as credentials
from app.docs import resources as docs
from app.files import resources as files
from app.health import resources as health
from app.imports import resources as imports
from app.jobs import resources as jobs
from app.notifications import resources as notifications
from app.orders import resources as orders
from app.posts import resources as posts
from app.products import resources as products
from app.rates import resources as rates
from app.reports import resources as reports
from app.todos import resources as todos
from app.users import resources as users
from app.wallet import resources as wallet

ROUTES = (
    ("/auth/login", auth.Login),
    ("/auth/refresh", auth.Refresh),
    ("/auth/session", auth.BrowserSession),
    ("/auth/logout", auth.Logout),
    ("/auth/confirm", auth.Confirmation),
    ("/auth/me", auth.Me),
    ("/auth/sessions", auth.SessionList),
    ("/auth/sessions/<id:session_id>", auth.SessionItem),
    ("/auth/permissions", auth.Permissions),
    ("/auth/password", credentials.Password),
    ("/auth/password/forgot", credentials.ForgottenPassword),
    ("/auth/password/reset", credentials.PasswordReset),
    ("/auth/email/verification", credentials.EmailVerification),
    ("/auth/email/verify", credentials.VerifiedEmail),
    ("/api/v1/users", users.UserList),
    ("/api/v1/users/<id:user_id>", users.UserItem),
    ("/api/v1/users/<id:user_id>/sessions", auth.UserSessionList),
    ("/api/v1/users/<id:user_id>/sessions/<id:session_id>", auth.UserSessionItem),
    ("/api/v1/users/<id:user_id>/posts", posts.UserPostList),
    ("/api/v1/posts", posts.PostList),
    ("/api/v1/posts/<id:post_id>", posts.PostItem),
    ("/api/v1/todos", todos.TodoList),
    ("/api/v1/todos/<id:todo_id>", todos.TodoItem),
    ("/api/v1/files", files.FileList),
    ("/api/v1/files/<id:file_id>", files.FileItem),
    ("/api/v1/files/<id:file_id>/content", files.FileContent),
    ("/api/v1/files/<id:file_id>/thumbnail", files.FileThumbnail),
    ("/api/v1/products", products.ProductList),
    ("/api/v1/products/<id:product_id>", products.ProductItem),
    ("/api/v1/rates/<string:currency>", rates.RateItem),
    ("/api/v1/orders", orders.OrderList),
    ("/api/v1/orders/<id:order_id>", orders.OrderItem),
    ("/api/v1/orders/<id:order_id>/completion", orders.Completion),
    ("/api/v1/orders/<id:order_id>/cancellation", orders.Cancellation),
    ("/api/v1/jobs", jobs.JobList),
    ("/api/v1/jobs/<id:job_id>", jobs.JobItem),
    ("/api/v1/jobs/<id:job_id>/result", jobs.JobResult),
    ("/api/v1/jobs/<id:job_id>/cancellation", jobs.JobCancellation),
    ("/api/v1/notifications", notifications.NotificationList),
    ("/api/v1/notifications/<id:notification_id>", notifications.NotificationItem),
    ("/api/v1/imports", imports.ImportList),
    ("/api/v1/reports", reports.ReportList),
    ("/api/v1/wallet", wallet.Wallet),
    ("/api/v1/wallet/entries", wallet.WalletEntryList),
    ("/api/v1/users/<id:user_id>/wallet", wallet.UserWallet),
    ("/api/v1/users/<id:user_id>/wallet/entries", wallet.UserWalletEntryList),
    ("/api/v1/transfers", wallet.TransferList),
    ("/api/v1/transfers/<id:transfer_id>", wallet.TransferItem),
    ("/api/v1/transfers/<id:transfer_id>/reversal", wallet.Reversal),
    ("/api/v1/deposits", wallet.DepositList),
    ("/api/v1/withdrawals", wallet.WithdrawalList),
    ("/api/v1/ledger", wallet.Ledger),
    ("/api/v1/audit", audit.AuditList),
    ("/", docs.Root),
    ("/docs", docs.Docs),
    ("/docs/<string:name>", docs.DocsAsset),
    ("/openapi.json", docs.OpenApiDocument),
    ("/health", health.Health),
    ("/health/ready", health.Readiness),
    ("/metrics", health.Metrics),
)
