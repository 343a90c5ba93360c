"""Certificates for loopback, made anew each time: an authority, a server, a client, a stranger.

Keys and certificates are PEM files in one folder, because servers and clients want paths.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

from bench.servers.ports import HOST


@dataclass(frozen=True, slots=True)
class Certificates:
    """Paths of PEM files; `server` and `client` hold the key and the chain in one file.

    `authority` signed both. `stranger` is another authority, which signed nothing here: a client
    that trusts only it must refuse the server. `misnamed` is signed by `authority`, for a name
    that is not this machine's.
    """

    authority: Path
    server: Path
    client: Path
    stranger: Path
    misnamed: Path

    def for_server(
        self, *, client_certificates: bool = False, misnamed: bool = False
    ) -> ssl.SSLContext:
        """A server's context; with `client_certificates` it lets in nobody without one."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.authority)
        context.load_cert_chain(self.misnamed if misnamed else self.server)
        if client_certificates:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def make_certificates(folder: Path) -> Certificates:
    """Make all of them in `folder`, which must exist."""
    authority, stranger = trustme.CA(), trustme.CA()
    made = Certificates(*(folder / f"{name}.pem" for name in Certificates.__slots__))
    authority.cert_pem.write_to_path(made.authority)
    stranger.cert_pem.write_to_path(made.stranger)
    names = {
        made.server: (HOST, "localhost"),
        made.client: ("gateway.test",),
        made.misnamed: ("elsewhere.test",),
    }
    for path, identities in names.items():
        authority.issue_cert(*identities).private_key_and_cert_chain_pem.write_to_path(path)
        path.chmod(0o600)
    return made
