"""Making folders of our own, and finding out early that we cannot."""

import os
import shutil
import stat
from pathlib import Path

from billing_portal.embedded.places import POSTGRES_UID, is_root
from billing_portal.embedded.trouble import Trouble


def make(folder: Path) -> None:
    """Create `folder` and its parents; a folder that exists keeps its mode and owner."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise unwritable(folder, None)


def make_private(folder: Path, *, for_postgres: bool = False) -> None:
    """Create `folder` with mode 0700; refuse one that is a link or belongs to somebody else.

    In /tmp its name can be guessed, so one that another user made first must not be trusted.
    """
    owner = POSTGRES_UID if for_postgres and is_root() else os.geteuid()
    try:
        folder.mkdir(mode=0o700, parents=True)
        os.chown(folder, owner, -1)
    except FileExistsError:
        pass
    except OSError as error:
        raise unwritable(folder, error) from error
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner:
        why = f"it is not a folder of user {owner}"
        raise Trouble(f"Cannot use {folder}", why=why, do=f"Remove it: rm -r '{folder}'")
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


def copy_missing(source: Path, target: Path) -> None:
    """Copy what `target` lacks of `source`, file by file.

    Compared by size, so a copy that was killed half way and one that a cleaner of /tmp has thinned out both heal.
    """
    for folder, _, names in os.walk(source):
        into = target / Path(folder).relative_to(source)
        into.mkdir(parents=True, exist_ok=True)
        for name in names:
            copy_file(Path(folder, name), into / name)


def copy_file(source: Path, target: Path) -> None:
    """Copy one file by a rename, unless a file of its size is there."""
    if target.exists() and target.stat().st_size == source.stat().st_size:
        return
    half = target.with_name(target.name + ".half")
    shutil.copy2(source, half)
    half.replace(target)


def unwritable(folder: Path, error: OSError | None) -> Trouble:
    why = (error.strerror if error else None) or "it is not writable by this user"
    next_command = f"Make it writable (ls -ld '{folder.parent}'), or copy the project to a folder of yours"
    return Trouble(f"Cannot write {folder}", why=why, do=next_command)
