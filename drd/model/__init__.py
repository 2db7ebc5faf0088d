"""Pure terms and arithmetic: no I/O, no clock reads."""
