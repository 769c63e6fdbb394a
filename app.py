"""The Flask application: what `flask COMMAND` finds in the project's root."""

import gc

gc.disable()  # what is loaded stays: to look through it again and again is a quarter of a command's time

from lazu.application import create_app  # noqa: E402

app = create_app()
gc.freeze()
gc.enable()
