"""Tests of the command line, its languages and its logs."""
