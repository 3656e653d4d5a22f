"""A stand-in for Milvus servers of versions that cannot be run here: gRPC on loopback, with no collections.

It tells a version, or does not know the question, as it is told; it keeps the requests that would create a collection,
and cuts sentences for `run_analyzer`. All else is UNIMPLEMENTED, as in a server that lacks it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

COLLECTION_NOT_FOUND = 100
INVALID_PARAMETER = 1100

Analyze = Callable[[Mapping[str, Any], str], Sequence[str]]
"""Parameters of an analyzer and a text → its words; ValueError where the parameters are refused."""


@dataclass(slots=True)
class StandIn:
    """What it is asked."""

    uri: str = ""
    created: list[dict[str, dict[str, Any]]] = field(default_factory=list)
    """Of each collection that was to be created, its fields by name: `type`, and their parameters."""
    analyzed: list[Mapping[str, Any]] = field(default_factory=list)
    """Parameters of the analyzers that were tried."""


@contextmanager
def milvus_stand_in(
    port: int, version: str | None, analyze: Analyze | None = None, *, refuses: bool = False
) -> Iterator[StandIn]:
    """A server of a version, while the context lasts.

    Args:
        port: on loopback.
        version: as it tells it; None does not know the question.
        analyze: answers `run_analyzer`; None does not know it.
        refuses: whether it finds something wrong with every collection that is to be created.
    """
    from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc, schema_pb2  # noqa: PLC0415 - as elsewhere

    seen = StandIn(f"http://127.0.0.1:{port}")

    class Servicer(milvus_pb2_grpc.MilvusServiceServicer):  # type: ignore[misc]
        """The calls that it answers, by the names that gRPC knows them by."""

        def Connect(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
            return milvus_pb2.ConnectResponse(identifier=1)

        def GetVersion(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
            if version is None:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, "")
            return milvus_pb2.GetVersionResponse(version=version)

        def DescribeCollection(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
            return milvus_pb2.DescribeCollectionResponse(status=common_pb2.Status(code=COLLECTION_NOT_FOUND))

        def ShowCollections(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
            return milvus_pb2.ShowCollectionsResponse()

        def CreateCollection(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
            schema = schema_pb2.CollectionSchema.FromString(request.schema)
            seen.created.append(
                {
                    each.name: {
                        "type": schema_pb2.DataType.Name(each.data_type),
                        "nullable": each.nullable,
                        **{pair.key: _parsed(pair.value) for pair in each.type_params},
                    }
                    for each in schema.fields
                }
            )
            return common_pb2.Status(code=INVALID_PARAMETER, reason="PLANTED") if refuses else common_pb2.Status()

        def RunAnalyzer(self, request: Any, context: Any) -> Any:  # noqa: N802
            if analyze is None:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, "")
                return None
            params = json.loads(request.analyzer_params)
            seen.analyzed.append(params)
            try:
                results = [analyze(params, text.decode()) for text in request.placeholder]
            except ValueError as error:
                refused = common_pb2.Status(code=INVALID_PARAMETER, reason=f"PLANTED {error}")
                return milvus_pb2.RunAnalyzerResponse(status=refused)
            tokens = [[milvus_pb2.AnalyzerToken(token=word) for word in words] for words in results]
            return milvus_pb2.RunAnalyzerResponse(results=[milvus_pb2.AnalyzerResult(tokens=each) for each in tokens])

    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        milvus_pb2_grpc.add_MilvusServiceServicer_to_server(Servicer(), server)
        server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        try:
            yield seen
        finally:
            server.stop(None).wait()


def _parsed(value: str) -> Any:
    return json.loads(value) if value.startswith("{") else value
