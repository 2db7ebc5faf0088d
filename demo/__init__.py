"""`make demo`: an orders API loses its data and is restored, with real servers."""
