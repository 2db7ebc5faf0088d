"""What `drd status` shows, and the summary file that it reads."""
