"""`python -m costaudit` is the command `costaudit`."""

from costaudit.cli.main import main

if __name__ == "__main__":
    main()
