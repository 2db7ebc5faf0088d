"""One file for each version, which leads from the version before to this one."""
