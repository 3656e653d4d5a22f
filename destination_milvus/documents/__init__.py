"""What a record says: the text to embed, its chunks, and the metadata that it is filtered by. Pure."""
