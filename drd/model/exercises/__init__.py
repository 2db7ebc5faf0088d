"""Table-top exercises: what they consist of, how one was played, and its result. Pure."""
