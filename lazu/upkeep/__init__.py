"""Upkeep: what an operator has done to the whole store. Safe while the store serves; a restore refuses then."""
