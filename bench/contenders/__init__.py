"""What Lazu is measured against: each module is a program or a WSGI/ASGI application of its own."""
