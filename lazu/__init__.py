"""Lazu: an OpenAI-compatible Files API for the model server you run yourself.

Empty, so that a process that needs one room (a reader of documents) imports no other.
"""
