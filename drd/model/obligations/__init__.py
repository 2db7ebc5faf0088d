"""Legal and contractual duties to report an incident: regimes as data, and their deadlines."""
