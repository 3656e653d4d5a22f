"""An Airbyte source that makes up Zendesk-shaped support data, so that a sync can be tried without an account."""
