"""One package for each kind of component, with everything about that technology."""
