"""What the server prints when it is ready."""

from flask import current_app

from app import seed


def welcome() -> str:
    """Return the lines that say where the API and its documentation are, and how to sign in."""
    base = f"http://{current_app.config['HOST']}:{current_app.config['PORT']}"
    lines = ["", f"Agora serves {base}", f"  Documentation  {base}/docs"]
    if current_app.config["FLASK_ENV"] == "development" and seed.is_present():
        lines += [
            f"  Demo members   {', '.join(seed.MEMBERS)}, all with the password {seed.PASSWORD}",
            f"  Sign in        curl {base}/auth/login -H 'Content-Type: application/json' -d "
            f'\'{{"email": "{next(iter(seed.MEMBERS))}", "password": "{seed.PASSWORD}"}}\'',
        ]
    else:
        lines.append("  Sign in        .venv/bin/flask create-user EMAIL, then POST /auth/login")
    return "\n".join([*lines, "  Stop           Ctrl-C", ""])
