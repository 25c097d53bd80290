"""`python -m presize …` is the command `presize …`; `torchrun -m presize train …` runs it."""

from presize.cli import main

if __name__ == "__main__":
    main()
