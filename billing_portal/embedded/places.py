"""Where an embedded instance keeps its things. Computes paths; starts, creates and asks nothing."""

import hashlib
import os
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

PROJECT = Path(__file__).resolve().parents[2]

HAS_PROC = platform.system() == "Linux"

# What fits into sockaddr_un.sun_path with its closing zero.
SOCKET_PATH_BYTES = 103 if platform.system() == "Darwin" else 107
POSTGRES_SOCKET = ".s.PGSQL.5432"
VALKEY_SOCKET = "valkey.sock"
DATABASE = "portal"

# PostgreSQL refuses to run as root; under root it runs as "nobody" (on every Linux and as uid, not by name).
POSTGRES_UID = 65534


def is_root() -> bool:
    return os.geteuid() == 0


def temporary_folder(folder: Path) -> Path:
    """Return the folder of ours in the system's temporary directory that belongs to `folder`.

    Not created here. /tmp before $TMPDIR: two shells with different $TMPDIR must find the same sockets.
    """
    system = Path("/tmp")  # noqa: S108 - the folder below it is checked and 0700, see folders.make_private
    if not os.access(system, os.W_OK):
        system = Path(tempfile.gettempdir())
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return system / f"billing-portal-{os.geteuid()}-{digest}"


@dataclass(frozen=True)
class Instance:
    """One PostgreSQL and one Valkey with their data below `folder`.

    `durable=False` leaves out every fsync: for tests, whose data nobody wants back.
    """

    folder: Path
    durable: bool = True

    @property
    def postgres_data(self) -> Path:
        return self.folder / "postgres"

    @property
    def valkey_data(self) -> Path:
        return self.folder / "valkey"

    @property
    def logs(self) -> Path:
        return self.folder / "log"

    @property
    def sockets(self) -> Path:
        """The folder of both sockets: our own, unless its path is too long or, as root, closed to `nobody`.

        Nor with a comma in it, at which libpq would cut it in two hosts.
        """
        own = self.folder / "run"
        longest = max(len(os.fsencode(own / name)) for name in (POSTGRES_SOCKET, VALKEY_SOCKET))
        if is_root() or longest > SOCKET_PATH_BYTES or "," in str(own):
            return temporary_folder(self.folder)
        return own

    @property
    def valkey_socket(self) -> Path:
        return self.sockets / VALKEY_SOCKET

    @property
    def database_url(self) -> str:
        return f"postgres://{DATABASE}@{quote(str(self.sockets), safe='')}/{DATABASE}"

    @property
    def redis_url(self) -> str:
        return f"unix://{quote(str(self.valkey_socket))}?db=0"


PORTAL = Instance(PROJECT / "var")
