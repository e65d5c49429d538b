"""The real process through a day's worth of readings in minutes: what its memory does, and an account of them all."""
