"""What to measure against: bare sockets, a server that takes all, a client that sends nothing."""
