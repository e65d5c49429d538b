"""The devices that Roadside can read, one file a family."""
