"""PostgreSQL: the rows of a store on several boxes."""
