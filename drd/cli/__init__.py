"""The command line: a module for what each verb does, and one in `verbs` for its options."""
