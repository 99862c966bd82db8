"""Lips that meet: a finished motion corrected, so that they close, never cross, and slide over each other."""
