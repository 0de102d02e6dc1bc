# One image for web, worker, mailer, scheduler and migrations.
# Bases are pinned by version; to pin them by digest too, append what `docker buildx imagetools inspect` prints.

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIPENV_VERBOSITY=-1
WORKDIR /build
# The same version as in the Makefile; a test keeps the two equal.
RUN python -m venv /pipenv && /pipenv/bin/pip install pipenv==2026.10.3
COPY Pipfile Pipfile.lock ./
# What is installed is what the lock file names, and nothing that has another hash.
RUN /pipenv/bin/pipenv requirements --hash >requirements.txt \
 && python -m venv /venv \
 && /venv/bin/pip install --require-hashes --no-deps --only-binary :all: --requirement requirements.txt

FROM python:3.11.14-slim-bookworm
# The root file system can be read-only: what is written goes to /tmp and to /data.
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FLASK_ENV=production \
    FLASK_SKIP_DOTENV=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    STORAGE_URL=file:///data/files
RUN groupadd --gid 10001 agora \
 && useradd --uid 10001 --gid agora --home-dir /srv/agora --no-create-home --shell /usr/sbin/nologin agora \
 && install --directory --owner agora --group agora /data /data/files
COPY --from=build /venv /venv
WORKDIR /srv/agora
COPY wsgi.py gunicorn.conf.py ./
COPY migrations migrations
COPY app app
# Compiled once, here: a read-only file system keeps no cache.
RUN python -m compileall -q app migrations wsgi.py
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
# The other roles are the same image with another command:
#   celery --quiet --app wsgi:celery worker --loglevel WARNING
#   celery --quiet --app wsgi:celery beat --loglevel WARNING
#   flask --app wsgi db upgrade
CMD ["gunicorn"]
