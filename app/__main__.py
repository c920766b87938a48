"""``python -m app``: the same as ``irsa``, for an image without a console script on its PATH."""

from app.cli.entry import main

if __name__ == "__main__":
    main()
