"""The store: what is kept, and for whom. Knows no HTTP and no model server; `opening` opens it."""
