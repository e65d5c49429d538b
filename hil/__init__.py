"""Hardware in the loop: simulated devices, the wires they sit on, and the city that receives."""
