"""One file a version, each leads from the one before."""
