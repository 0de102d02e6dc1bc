"""Every setting, with its default and its meaning; ``.env.example`` lists the same for people."""

from app.config.parsers import (
    Setting,
    bearer,
    broker_url,
    currency,
    database_url,
    flag,
    log_target,
    mail_sender,
    number,
    one_of,
    origins,
    sentry_dsn,
    service_url,
    smtp_url,
    storage_url,
)

NO_SENDER = "agora@localhost"
NO_APP = "http://localhost:3000"
ENVIRONMENTS = ("development", "testing", "production")
SETTINGS = (
    Setting("FLASK_ENV", "development", "development, testing or production.", one_of(*ENVIRONMENTS)),
    Setting("SECRET_KEY", "", "Signs what clients hand back, at least 32 bytes. Development makes its own."),
    Setting("JWT_SECRET_KEY", "", "Signs the tokens, at least 32 bytes. Development makes its own."),
    Setting(
        "DATABASE_URL",
        "",
        "sqlite:///file (below instance/) or postgresql://user:password@host/name. "
        "Development uses sqlite:///agora.db.",
        database_url,
    ),
    Setting(
        "TEST_DATABASE_URL",
        "",
        "A PostgreSQL server on which the tests make a database of their own. Without it they start one.",
        database_url,
    ),
    Setting(
        "BROKER_URL",
        "",
        "redis://host:6379/0 or amqp://user:password@host: how the workers are called. make run starts one of its own.",
        broker_url,
    ),
    Setting("WORKER_CONCURRENCY", 2, "Processes of the Celery worker.", number(1, 256)),
    Setting("JOB_TIME_LIMIT", 900, "Seconds that one job may take.", number(10, 86400)),
    Setting("HOST", "127.0.0.1", "The address that Gunicorn listens on; of IPv6 in brackets, like [::1]."),
    Setting("PORT", 8000, "The port that Gunicorn listens on.", number(1, 65535)),
    Setting(
        "WEB_CONCURRENCY", "", "Worker processes of Gunicorn. Empty, one for each core, at least 2.", number(1, 256)
    ),
    Setting(
        "WEB_THREADS",
        4,
        "Threads of each worker that read, and as many that write; also the size of its connection pools.",
        number(1, 256),
    ),
    Setting("REQUEST_TIMEOUT", 30, "Seconds after which Gunicorn ends a worker that hangs.", number(2, 3600)),
    Setting("STATEMENT_TIMEOUT", 10, "Seconds that one SQL statement may take (PostgreSQL).", number(1, 3600)),
    Setting("LOCK_TIMEOUT", 5, "Seconds to wait for a lock, a connection of the pool, or a thread.", number(1, 3600)),
    Setting(
        "READ_TIMEOUT",
        10,
        "Seconds for a request to arrive, from its first byte on, and one more for each 32768 bytes that have come; "
        "also for a client to take some of its answer.",
        number(1, 3600),
    ),
    Setting(
        "FAST_WORKER",
        True,
        "Keep busy connections in their threads, and spread them over the processes; false leaves that to Gunicorn.",
        flag,
    ),
    Setting(
        "PREPARED_STATEMENTS",
        True,
        "Have PostgreSQL plan frequent statements once for each connection; false leaves them to SQLAlchemy.",
        flag,
    ),
    Setting(
        "WAIT_CALLBACK",
        True,
        "Limit waits for a PostgreSQL server that does not answer; false leaves them to psycopg2, without a limit.",
        flag,
    ),
    Setting("TRUSTED_PROXIES", 0, "How many proxies in front may set the X-Forwarded headers.", number(0, 10)),
    Setting(
        "LOG_LEVEL",
        "INFO",
        "DEBUG, INFO, WARNING or ERROR.",
        one_of("DEBUG", "INFO", "WARNING", "ERROR"),
    ),
    Setting(
        "LOG_TO",
        "stderr",
        "stderr; file:///folder/agora.log, which all processes may share; syslog://host:514 (UDP) or syslog:///dev/log.",
        log_target,
    ),
    Setting(
        "LOG_FILE_SIZE",
        104857600,
        "Bytes after which the file of LOG_TO is put by as .1, the older ones up to .9.",
        number(1024, 1099511627776),
    ),
    Setting(
        "METRICS_TOKEN",
        "",
        "The bearer token that /metrics asks for. Empty, only this machine is answered, and no proxy.",
        bearer,
    ),
    Setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        "Where OpenTelemetry's traces go, like http://127.0.0.1:4318. Needs the package category otel.",
        service_url,
    ),
    Setting("SENTRY_DSN", "", "Where Sentry is told of errors. Needs the package category sentry.", sentry_dsn),
    Setting("SQLALCHEMY_ECHO", False, "Log every SQL statement.", flag),
    Setting(
        "CORS_ORIGINS",
        [],
        "Origins whose pages may call the API, with cookies too, separated by commas. "
        "Development allows http://localhost:* and http://127.0.0.1:*.",
        origins,
    ),
    Setting("JWT_ACCESS_TOKEN_EXPIRES", 3600, "Seconds that an access token lives.", number(1, 86400)),
    Setting(
        "JWT_REFRESH_TOKEN_EXPIRES",
        2592000,
        "Seconds that a session and its refresh tokens live.",
        number(1, 31536000),
    ),
    Setting("AUDIT_DAYS", 400, "Days for which the audit log is kept.", number(1, 36500)),
    Setting(
        "PASSWORD_POLICY",
        "default",
        "default: 8 characters with a digit and an upper-case letter; nist: 15 characters of any kind.",
        one_of("default", "nist"),
    ),
    Setting("PASSWORD_HASH_MEMORY", 19456, "KiB of memory that argon2 takes to hash.", number(8, 4194304)),
    Setting("PASSWORD_HASH_PASSES", 2, "How often argon2 passes over that memory.", number(1, 100)),
    Setting("CURRENCY", "EUR", "The currency of the community's credits, three letters.", currency),
    Setting(
        "RATES_URL",
        "",
        "The exchange-rate service, one that speaks as Frankfurter does. Without it there are no rates. "
        "Development uses a small one of its own, at PORT + 10.",
        service_url,
    ),
    Setting("RATES_MAX_AGE", 3600, "Seconds for which a rate is fresh, and not asked for again.", number(1, 604800)),
    Setting(
        "SMTP_URL",
        "",
        "smtp://host, smtp://user:password@host:587?starttls or smtps://...: the mail server. "
        "Development without one prints mails to the log.",
        smtp_url,
    ),
    Setting("MAIL_FROM", NO_SENDER, "Whom mails come from, like Agora <agora@example.com>.", mail_sender),
    Setting("APP_URL", NO_APP, "Where the frontend is, to which the links of mails lead.", service_url),
    Setting("PAGE_SIZE_DEFAULT", 20, "Items on a page when per_page is not given.", number(1, 1000)),
    Setting("PAGE_SIZE_MAX", 100, "The most items on a page; a larger per_page is served as this.", number(1, 1000)),
    Setting("MAX_CONTENT_LENGTH", 1048576, "The most bytes of a request's body.", number(1024, 1073741824)),
    Setting("MAX_UPLOAD_SIZE", 10485760, "The most bytes of an uploaded file.", number(1, 1073741824)),
    Setting("MEMBER_FILES", 1000, "The most files that one member may have.", number(1, 1000000)),
    Setting("MEMBER_STORAGE", 1073741824, "The most bytes that one member's files may have.", number(1, 2**50)),
    Setting(
        "STORAGE_URL",
        "",
        "Where files live: file:///folder, or s3://bucket/prefix. Empty, it is the folder instance/files.",
        storage_url,
    ),
)
