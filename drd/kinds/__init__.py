"""One package a kind of component: everything about that technology in one place."""
