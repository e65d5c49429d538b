"""Defects that are put into a copy of the agent, one at a time, and the scenarios that must notice each of them."""
