"""Upkeep: what an operator has done to the whole store. Everything here is safe while the store serves."""
