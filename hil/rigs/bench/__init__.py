"""A rig of real hardware: a gateway on a bench, and a far end that plays what hangs on its wires and pins."""
