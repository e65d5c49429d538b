"""Simulated devices, one file a family, written from the makers' datasheets.

Never from our decoders: so they check each other.
"""
