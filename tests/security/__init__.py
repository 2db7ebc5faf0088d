"""One replay an attack and one a lie, each with a healthy twin."""
