"""`python -m leaklint` is the command `leaklint`."""

from leaklint.cli import main

if __name__ == "__main__":
    main()
