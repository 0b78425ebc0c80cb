"""`python -m runwell` is the `runwell` command."""

from runwell.cli.main import main

if __name__ == "__main__":
    main()
