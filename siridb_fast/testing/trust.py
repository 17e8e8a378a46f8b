"""Whether a program can only have come from this user, or from root.

Looks at owners and permissions of every folder on the way to it, by its name and by what links
lead to. Knows nothing of servers.
"""

import os
import stat
from pathlib import Path

__all__ = ["reason_for_distrust"]


def reason_for_distrust(program: Path, home: Path) -> str | None:
    """Return why another user may have put a program there, or may change it; None if nobody can.

    Args:
        program: Its absolute path.
        home: The folder above it that was searched. From there down nobody else may write at all.
            Higher up a folder for everybody, as ``/tmp``, will do where it is *sticky*: nobody
            there renames what is another's.
    """
    way = (program, *program.parents)
    end = program.resolve()
    strict = {home, end, end.parent} | {path for path in way if home in path.parents}
    for path in dict.fromkeys((*way, *_ends(way))):
        found = path.lstat()
        if found.st_uid not in (0, os.geteuid()):
            return f"{path} belongs to another user"
        is_sticky = bool(found.st_mode & stat.S_ISVTX)
        if _is_open(found) and not (is_sticky and path not in strict):
            return f"other users may write to {path}"
    return None


def _ends(way: tuple[Path, ...]) -> list[Path]:
    # What a link leads to has a way of its own.
    ends = [path.resolve() for path in way if path.is_symlink()]
    return [path for end in ends for path in (end, *end.parents)]


def _is_open(found: os.stat_result) -> bool:
    if stat.S_ISLNK(found.st_mode):  # has the permissions of nothing
        return False
    # The group of a user's own, of which only the user is, has the user's number.
    is_own_group = found.st_gid in (0, found.st_uid)
    others = stat.S_IWOTH if is_own_group else stat.S_IWOTH | stat.S_IWGRP
    return bool(found.st_mode & others)
