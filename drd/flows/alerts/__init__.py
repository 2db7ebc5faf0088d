"""From facts to messages: conditions, open alerts, the outbox, heartbeats."""
