"""Commands from above: `do/{command}` comes in, and every one is answered on `did`."""
