"""Finding out what is at a serial port: by listening first, then by asking what cannot change anything."""
