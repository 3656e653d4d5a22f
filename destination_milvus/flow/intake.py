"""Records of any stream → the changes that they ask for."""

from __future__ import annotations

import random
from collections.abc import Mapping

from destination_milvus.documents.builder import DocumentBuilder
from destination_milvus.errors import InternalError
from destination_milvus.flow.change import VectorField, change_of
from destination_milvus.model import Change
from destination_milvus.protocol.catalog import StreamName, StreamPlan
from destination_milvus.protocol.messages import Record


class Intake:
    """What a sync knows of its streams."""

    def __init__(
        self,
        plans: Mapping[StreamName, StreamPlan],
        builders: Mapping[StreamName, DocumentBuilder],
        vector_field: VectorField | None,
    ) -> None:
        self._plans = plans
        self._builders = builders
        self._vector_field = vector_field
        # seeded by the system once: to ask it for every record lets go of the GIL each time, and waits to get it back
        self._random = random.Random()  # noqa: S311 - identities, no secrets

    def change(self, record: Record) -> Change:
        """What a record asks for.

        Raises:
            BadRecord: it cannot be stored; the error says where it stands, where that is known.
            InternalError: its stream is not in the catalog.
        """
        stream = (record.name, record.namespace)
        plan = self._plans.get(stream)
        if plan is None:
            raise InternalError(
                f'A record of the stream "{record.name}" came, which is not in the configured catalog. Refresh the '
                "schema of the connection; the source sends what was not selected.",
                stream=stream,
            )
        return change_of(record, plan, self._builders[stream], self._random_id(), self._vector_field)

    def _random_id(self) -> str:
        return f"{self._random.getrandbits(128):032x}"
