"""Which locks are held where, in which order they are taken, and who needs them to go on."""
