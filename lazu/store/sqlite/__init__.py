"""SQLite: the rows of a store on one box."""
