"""`siridb-fast bench`: what this server takes from this machine, and what to change."""
