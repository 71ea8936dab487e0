"""What must be given back: what is acquired, who is to release it, and the ways on which nobody does."""
