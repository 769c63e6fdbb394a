"""Lazu beside its floors and its peers, in the same run. `bench/run` is the command."""
