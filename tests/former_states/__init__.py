"""States that earlier versions of drd made, as text, and how they are made and put back."""
