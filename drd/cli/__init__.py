"""The command line: a module for the work of each verb, and a module in `verbs` for its options."""
