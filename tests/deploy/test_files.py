"""The files that Agora is deployed by: what linters and schemas do not know."""

import re
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.config import SECRETS
from app.config.settings import SETTINGS
from app.core.db.postgres import CLIENT_GRACE
from app.core.http.request_body import MULTIPART_OVERHEAD
from deploy import servers

KUBERNETES = "1.37"
DEFAULTS = {setting.name: setting.default for setting in SETTINGS}
MAX_BODY = str(DEFAULTS["MAX_UPLOAD_SIZE"] + MULTIPART_OVERHEAD)
OWN = ("web", "worker", "mailer", "scheduler", "migrate")


@pytest.fixture
def compose(project: Path) -> Any:
    return yaml.safe_load((project / "docker-compose.yml").read_text())


@pytest.fixture
def manifests(project: Path) -> list[Any]:
    files = sorted((project / "deploy" / "kubernetes").glob("*.yaml"))
    return [manifest for file in files for manifest in yaml.safe_load_all(file.read_text())]


def templates(manifests: list[Any]) -> list[Any]:
    return [manifest["spec"]["template"]["spec"] for manifest in manifests if "template" in manifest.get("spec", ())]


def test_every_manifest_fits_the_schemas_of_kubernetes(manifests: list[Any]) -> None:
    known = [manifest for manifest in manifests if manifest["kind"] != "Kustomization"]
    assert len(known) == 14
    for manifest in known:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_a_manifest_that_does_not_fit_is_found(manifests: list[Any]) -> None:
    broken = next(manifest for manifest in manifests if manifest["kind"] == "Deployment")
    broken["spec"]["replica"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, KUBERNETES, strict=True)


def test_every_resource_of_the_kustomization_is_there(project: Path, manifests: list[Any]) -> None:
    kustomization = next(manifest for manifest in manifests if manifest["kind"] == "Kustomization")
    assert all((project / "deploy" / "kubernetes" / name).is_file() for name in kustomization["resources"])


def test_the_containers_of_the_pods_have_no_rights_and_limits(manifests: list[Any]) -> None:
    pods = templates(manifests)
    assert len(pods) == 5
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"]
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"cpu", "memory"} <= set(container["resources"]["limits"])


def test_settings_of_the_manifests_exist_and_secrets_have_no_value(manifests: list[Any]) -> None:
    by_kind = {manifest["kind"]: manifest for manifest in manifests if manifest["kind"] in ("ConfigMap", "Secret")}
    assert set(by_kind["ConfigMap"]["data"]) <= set(DEFAULTS)
    secret = by_kind["Secret"]["stringData"]
    assert {name for name in secret if not name.startswith("AWS_")} <= set(DEFAULTS)
    assert set(SECRETS) <= set(secret)
    assert set(secret.values()) == {""}


def test_only_nginx_is_published_and_nothing_may_more_than_it_must(compose: Any) -> None:
    for name, service in compose["services"].items():
        assert ("ports" in service) == (name == "nginx"), name
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert {"mem_limit", "cpus", "healthcheck"} <= set(service) or name == "web", name
        assert re.search(r":.*\d", service["image"]) or name in OWN, name
    assert compose["networks"]["inside"]["internal"]
    assert all(compose["services"][name]["networks"] == ["inside"] for name in ("postgres", "redis"))


def test_compose_has_no_default_secret_and_only_settings_that_exist(compose: Any) -> None:
    settings = compose["services"]["web"]["environment"]
    assert set(settings) <= set(DEFAULTS)
    for name in (*SECRETS, "DATABASE_URL"):
        assert re.search(r"\$\{[A-Z_]+:\?", settings[name]), name


def test_the_log_of_postgresql_has_nothing_of_what_members_send(
    compose: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "user", lambda: None)
    monkeypatch.setattr("deploy.servers.subprocess.run", lambda *_args, **_kwargs: None)
    in_stack = servers.postgres(tmp_path).command
    in_compose = compose["services"]["postgres"]["command"]
    for setting in ("log_min_error_statement=panic", "log_error_verbosity=terse"):
        for command in (in_stack, in_compose):
            assert command[command.index(setting) - 1] == "-c"


def test_migrations_end_before_anything_serves(compose: Any) -> None:
    for name in ("web", "worker", "mailer", "scheduler"):
        waits_for = compose["services"][name]["depends_on"]
        assert waits_for["migrate"]["condition"] == "service_completed_successfully"
    assert compose["services"]["migrate"]["command"] == ["flask", "--app", "wsgi", "db", "upgrade"]


def test_programs_are_those_of_the_procfile(project: Path, compose: Any, manifests: list[Any]) -> None:
    lines = (project / "Procfile").read_text().splitlines()
    programs = {name: command.split()[2:] for name, command in (line.split(": ", 1) for line in lines)}
    in_pods = {pod["containers"][0]["name"]: pod["containers"][0]["command"] for pod in templates(manifests)}
    for name in ("worker", "mailer", "scheduler"):
        assert programs[name] == compose["services"][name]["command"] == in_pods[name]


def test_what_is_larger_than_an_upload_is_refused_at_the_door(compose: Any, manifests: list[Any]) -> None:
    ingress = next(manifest for manifest in manifests if manifest["kind"] == "Ingress")
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"] == MAX_BODY
    assert compose["services"]["nginx"]["environment"]["AGORA_MAX_BODY"] == MAX_BODY


def test_time_limits_end_from_within(project: Path, manifests: list[Any]) -> None:
    template = (project / "deploy" / "nginx" / "agora.conf.template").read_text()
    found = re.search(r"proxy_read_timeout (\d+)s;", template)
    assert found
    ingress = next(manifest for manifest in manifests if manifest["kind"] == "Ingress")
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-read-timeout"] == found[1]
    assert DEFAULTS["STATEMENT_TIMEOUT"] + CLIENT_GRACE < DEFAULTS["REQUEST_TIMEOUT"] < int(found[1])


def test_every_variable_of_the_nginx_template_is_filled_in(project: Path, compose: Any) -> None:
    template = (project / "deploy" / "nginx" / "agora.conf.template").read_text()
    given = {name for name in compose["services"]["nginx"]["environment"] if name.startswith("AGORA_")}
    assert set(re.findall(r"\$\{(\w+)\}", template)) == given


def test_the_image_installs_the_pipenv_of_the_makefile_on_the_python_of_the_pipfile(project: Path) -> None:
    dockerfile, makefile = ((project / name).read_text() for name in ("Dockerfile", "Makefile"))
    version = re.search(r"PIPENV_VERSION := (\S+)", makefile)
    python = tomllib.loads((project / "Pipfile").read_text())["requires"]["python_version"]
    assert version
    assert f"pipenv=={version[1]}" in dockerfile
    bases = re.findall(r"^FROM python:(\S+)", dockerfile, re.MULTILINE)
    assert len(set(bases)) == 1
    assert bases[0].startswith(f"{python}.")


def test_the_image_has_all_that_is_served(project: Path) -> None:
    dockerfile, ignored = ((project / name).read_text() for name in ("Dockerfile", ".dockerignore"))
    for part in ("app", "migrations", "wsgi.py", "gunicorn.conf.py"):
        assert re.search(rf"^COPY .*\b{re.escape(part)}\b", dockerfile, re.MULTILINE), part
        assert f"!{part}\n" in ignored
