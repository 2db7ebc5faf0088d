"""Keeping drd's own state: whose it is, who may write there, what a killed run left."""
