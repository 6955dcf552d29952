"""`python -m gustibus`: the command line where its script is not on the path."""

from gustibus.cli import main

if __name__ == "__main__":
    main()
