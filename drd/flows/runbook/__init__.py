"""Execute the steps of a runbook, and record people's decisions about them."""
