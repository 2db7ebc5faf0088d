"""Pure words and arithmetic: no I/O, no clock reads."""
