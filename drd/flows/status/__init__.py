"""What `drd status` shows, and the summary file that it is read from."""
