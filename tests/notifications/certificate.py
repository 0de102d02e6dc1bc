"""A certificate for localhost."""

from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from app.core import clock


def make_certificate(folder: Path) -> tuple[str, str]:
    """Make a certificate that signs itself, and return the files of it and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now, day = clock.now(), timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    alternative = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    signed = builder.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    files = folder / "certificate.pem", folder / "key.pem"
    for file, content in zip(files, (signed.public_bytes(Encoding.PEM), private), strict=True):
        file.write_bytes(content)
    return str(files[0]), str(files[1])
