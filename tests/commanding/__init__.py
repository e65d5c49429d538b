"""Commands: what is read, remembered, refused and done."""
