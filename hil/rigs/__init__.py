"""Rigs: what a hardware-in-the-loop test runs against, each behind the same verbs."""
