"""Documents: the text and the pages of files, for models that can't take files. `reading` is the door.

Every file is read in a process of its own, under limits (`sandbox`), so a hostile one costs one `Unreadable`.
"""
