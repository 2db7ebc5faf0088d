"""Files and directories, with everything about them that a restore must bring back."""
