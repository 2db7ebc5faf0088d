"""drd's own state: who owns it, who may write to it, and what a killed run left in it."""
