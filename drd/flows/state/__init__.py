"""drd's own state: who owns it, who may write there, what a killed run left."""
