"""Zendesk Support → Milvus by Airbyte's API: tickets and articles, Incremental | Append + Deduped, every hour.

    export AIRBYTE_URL=http://localhost:8000/api/public/v1 AIRBYTE_CLIENT_ID=… AIRBYTE_CLIENT_SECRET=…
    export WORKSPACE_ID=… DOCKER_REPOSITORY=registry.example.com/destination-milvus DOCKER_IMAGE_TAG=0.1.0
    export ZENDESK_SUBDOMAIN=acme ZENDESK_EMAIL=… ZENDESK_API_TOKEN=… OPENAI_KEY=… MILVUS_HOST=https://… MILVUS_TOKEN=…
    python create_connection.py

Five requests, with Python's standard library alone. Every run makes a new connection.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

SYNC_MODE = "incremental_deduped_history"
HOURLY = "0 0 * * * ?"
"""Quartz: at the beginning of every hour."""


def main() -> None:
    """Make definition, source, destination and connection, and print the connection's id."""
    settings = os.environ
    credentials = {"client_id": settings["AIRBYTE_CLIENT_ID"], "client_secret": settings["AIRBYTE_CLIENT_SECRET"]}
    token = post("/applications/token", credentials)["access_token"]
    workspace = settings["WORKSPACE_ID"]
    made = post(f"/workspaces/{workspace}/definitions/destinations", definition(settings), token)
    source = post("/sources", zendesk(settings), token)
    destination = post("/destinations", milvus(settings, made["id"]), token)
    print(post("/connections", connection(source["sourceId"], destination["destinationId"]), token)["connectionId"])


def definition(settings: Mapping[str, str]) -> dict[str, Any]:
    """The connector's own image, from a registry that your Airbyte can reach."""
    return {
        "name": "Milvus (destination-milvus)",
        "dockerRepository": settings["DOCKER_REPOSITORY"],
        "dockerImageTag": settings["DOCKER_IMAGE_TAG"],
    }


def zendesk(settings: Mapping[str, str]) -> dict[str, Any]:
    """The source."""
    return {
        "name": "Zendesk Support",
        "workspaceId": settings["WORKSPACE_ID"],
        "configuration": {
            "sourceType": "zendesk-support",
            "subdomain": settings["ZENDESK_SUBDOMAIN"],
            "start_date": "2024-01-01T00:00:00Z",
            "credentials": {
                "credentials": "api_token",
                "email": settings["ZENDESK_EMAIL"],
                "api_token": settings["ZENDESK_API_TOKEN"],
            },
        },
    }


def milvus(settings: Mapping[str, str], definition_id: str) -> dict[str, Any]:
    """The destination."""
    return {
        "name": "Milvus",
        "workspaceId": settings["WORKSPACE_ID"],
        "definitionId": definition_id,
        "configuration": {
            "embedding": {"mode": "openai", "openai_key": settings["OPENAI_KEY"], "model": "text-embedding-3-small"},
            "processing": {
                "chunk_size": 1000,
                "chunk_overlap": 50,
                "text_fields": ["subject", "description", "title", "body"],
                "metadata_fields": [
                    "id", "subject", "description", "status", "priority", "organization_id", "requester_id", "tags",
                    "title", "html_url", "label_names", "locale", "created_at", "updated_at",
                ],
                "html_fields": ["body"],
                "context_fields": ["title", "subject"],
            },
            "indexing": {
                "host": settings["MILVUS_HOST"],
                "collection": "zendesk",
                "auth": {"mode": "token", "token": settings["MILVUS_TOKEN"]},
            },
        },
    }  # fmt: skip


def connection(source_id: str, destination_id: str) -> dict[str, Any]:
    """What is synced, how and when; primary keys and cursors are the source's own."""
    return {
        "name": "Zendesk Support to Milvus",
        "sourceId": source_id,
        "destinationId": destination_id,
        "schedule": {"scheduleType": "cron", "cronExpression": HOURLY},
        "configurations": {"streams": [{"name": name, "syncMode": SYNC_MODE} for name in ("tickets", "articles")]},
    }


def post(path: str, body: Mapping[str, Any], token: str | None = None) -> dict[str, Any]:
    """The answer to a request."""
    url = os.environ.get("AIRBYTE_URL", "https://api.airbyte.com/v1").rstrip("/") + path
    if not url.startswith(("https://", "http://")):
        sys.exit("AIRBYTE_URL has to begin with https:// or http://.")
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - looked at above
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - as above
            answered: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        # not its body, which may repeat what was sent
        sys.exit(f"Airbyte refused POST {path}: HTTP {error.code} {error.reason}.")
    except urllib.error.URLError as error:
        sys.exit(f"AIRBYTE_URL cannot be reached: {error.reason}.")
    return answered


if __name__ == "__main__":
    try:
        main()
    except KeyError as missing:
        sys.exit(f"Set {missing.args[0]} in the environment.")
