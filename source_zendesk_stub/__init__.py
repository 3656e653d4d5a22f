"""An Airbyte source of made-up, Zendesk-shaped support data: a sync can be tried without an account."""

from source_zendesk_stub.source import SourceZendeskStub

__all__ = ["SourceZendeskStub"]
