"""The one kind of error this source raises on purpose: something the user gave it cannot be used."""

from __future__ import annotations

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException


def refusal(sentence: str) -> AirbyteTracedException:
    """A configuration error that shows `sentence` to the user and nothing else.

    The sentence is the internal message too: which of the two the CDK prints depends on the command.
    """
    return AirbyteTracedException(message=sentence, internal_message=sentence, failure_type=FailureType.config_error)
