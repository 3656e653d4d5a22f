"""The network's edge of pymilvus, for tests: what single calls of gRPC do, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

Call = Callable[..., Any]


class Failed(grpc.RpcError):
    """As gRPC raises it."""

    def __init__(self, status: grpc.StatusCode) -> None:
        super().__init__()
        self._status = status

    def code(self) -> grpc.StatusCode:
        """The status."""
        return self._status

    def details(self) -> str:
        """What it says."""
        return "made up by a test"


def intercept(monkeypatch: pytest.MonkeyPatch, call: str, answer: Callable[[Call, Any, dict[str, Any]], Any]) -> None:
    """Let connections that are made from now on answer a call by `answer(real call, request, options)`."""
    from pymilvus.grpc_gen.milvus_pb2_grpc import MilvusServiceStub  # noqa: PLC0415 - 2 s that others need not pay

    made = MilvusServiceStub.__init__

    def make(stub: MilvusServiceStub, channel: grpc.Channel) -> None:
        made(stub, channel)
        real = getattr(stub, call)
        setattr(stub, call, lambda request, **options: answer(real, request, options))

    monkeypatch.setattr(MilvusServiceStub, "__init__", make)
