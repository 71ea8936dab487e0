"""The object flow: which abstract objects every variable of the program can hold, and the calls found on the way."""
