"""The key that signs anchors: one a home, made when it is first needed, in `audit.key` (PKCS 8, 0600).

It never enters the journal, and no agent sees the home. See docs/decisions for what it does not protect from.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agentos.audit.anchor import Anchor, signed_bytes
from agentos.errors import UsageError
from agentos.kernel import audit_tree, audit_verify

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from agentos.home import Home


def sign_head(home: Home, home_id: str) -> Anchor:
    """Checks the whole chain and signs where it ends. Takes time in the journal's length; holds no lock.

    Raises UsageError where the chain does not hold (a head that covers damage is not to be vouched for), or
    the key cannot be used.
    """
    verdict = audit_verify(home.database)
    bad = verdict["first_bad"]
    if bad is not None:
        raise UsageError(
            f"the journal is damaged from entry {bad['seq']} on, and is not signed: {bad['reason']}",
            where=str(home.database),
            hint="`agentos audit verify --anchor FILE` compares it with an earlier anchor",
        )
    key = _key(home)
    seq, hash, tree = (
        verdict["entries"],
        verdict["head"],
        audit_tree(home.database, verdict["entries"])["root"],
    )
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    public = key.public_key().public_bytes_raw().hex()
    signature = key.sign(signed_bytes(home_id, seq, hash, tree, time, public)).hex()
    return Anchor(
        home=home_id, seq=seq, hash=hash, tree=tree, time=time, public_key=public, signature=signature
    )


def public_key(home: Home) -> str | None:
    """The home's public key, or None where it has signed nothing yet. Raises UsageError."""
    return _load(home).public_key().public_bytes_raw().hex() if home.audit_key.exists() else None


def _key(home: Home) -> Ed25519PrivateKey:
    if not home.audit_key.exists():
        _make(home)
    return _load(home)


def _load(home: Home) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(home.audit_key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise _unusable(home, str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(home, "it is not an Ed25519 key")
    return key


def _unusable(home: Home, reason: str) -> UsageError:
    return UsageError(
        f"the key that signs anchors cannot be used: {reason}",
        where=str(home.audit_key),
        hint="restore it from a back-up, or move it away: then a new one is made, and anchors of the old "
        "one are checked with --key",
    )


def _make(home: Home) -> None:
    """Under another name first, and durable before it signs anything: a key is there whole or not at all."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    fresh = home.audit_key.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(home.audit_key)
    folder = os.open(home.root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
