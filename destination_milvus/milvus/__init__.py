"""Milvus, and only here: connecting, the collection, reading it, and the calls of the commit procedure."""
