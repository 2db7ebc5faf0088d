"""`make demo`: an orders API loses its data and comes back, with real servers."""
