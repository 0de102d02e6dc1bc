"""What a WSGI server serves, ``gunicorn wsgi:app``, and what Celery runs, ``celery --app wsgi:celery worker``."""

from app import create_app

app = create_app()
celery = app.extensions["celery"]
