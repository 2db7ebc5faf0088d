"""The service under a real systemd."""
