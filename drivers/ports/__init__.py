"""Ports: how bytes and edges get in and out."""
