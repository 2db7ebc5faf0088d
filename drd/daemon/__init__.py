"""The daemon: what is due is started, supervised and told about."""
