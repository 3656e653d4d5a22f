"""Airbyte's protocol: messages in and out, and what a configured catalog asks for."""
