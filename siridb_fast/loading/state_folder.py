"""The folder of a user in which it is remembered what was loaded."""

from __future__ import annotations

from pathlib import Path

__all__ = ["state_folder"]


def state_folder() -> Path:
    """Return it; in Linux ``~/.local/state/siridb_fast``, or in ``XDG_STATE_HOME``.

    Raises:
        ImportError: The package platformdirs is missing.
    """
    try:
        from platformdirs import user_state_path  # of the extra; not for all who import a client
    except ImportError as error:
        text = "files are loaded with platformdirs: pip install siridb_fast[arrow]"
        raise ImportError(text, name="platformdirs") from error
    return user_state_path("siridb_fast", appauthor=False)
