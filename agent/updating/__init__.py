"""Releases: how they are made, signed, checked and installed. No running agent imports anything of this."""
