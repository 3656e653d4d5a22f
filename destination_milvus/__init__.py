"""Airbyte destination that keeps records searchable by meaning in Milvus."""
