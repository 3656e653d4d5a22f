"""What the commands for people take, and how they explain themselves. Nothing is imported that costs."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter, _SubParsersAction
from typing import TypeAlias

Commands: TypeAlias = "_SubParsersAction[ArgumentParser]"

BACKFILL = """\
Load files into the collection, as a sync of the same records would: the first load of millions of records, from what
another destination of Airbyte has left in object storage or on this machine. The next sync goes on from there.

Files may hold, gzip or not:
  JSON lines   of Airbyte's S3, GCS, Azure Blob and Local JSON destinations, flattened or not
  messages     as a source prints them: source read ... > messages.jsonl
  Parquet      with a column for each field

The newest version of a key wins, and deletions delete. Stopped or killed, the same command goes on: what is stored
already is found unchanged and costs nothing. With --engine ray several workers share the work, here or on a cluster."""

BACKFILL_EXAMPLES = """\
examples:
  destination-milvus backfill --config config.json --catalog catalog.json --input 's3://lake/public/tickets/*.jsonl.gz'
  destination-milvus backfill --config config.json --catalog catalog.json --stream tickets --input export/ --dry-run
  destination-milvus backfill --config config.json --catalog catalog.json --input 's3://lake/public/**' \\
      --engine ray --ray-address auto --workers 40"""

PREVIEW = """\
Show what the records of a source would become with this configuration, before anything is paid: chunks and their sizes,
tokens and money, rows and memory, metadata, the first texts as they would be embedded, and warnings with the option
that mends them. Embeds and writes nothing, and connects to nothing unless --against asks for it."""

PREVIEW_EXAMPLES = """\
examples:
  source read ... | destination-milvus preview --config config.json --catalog catalog.json --records 5000 --price 0.02
  destination-milvus preview --config config.json --catalog catalog.json --input export/ --stream tickets --json"""

REEMBED = """\
Write the records of a collection into another one, with the vectors of another model: without the source, while the old
collection goes on serving searches. The configuration names the new model and the new collection, on the same Milvus.

Texts are read from the old collection, and embedded as they were divided. Stopped or killed, the same command goes on;
run again after a sync into the old collection, it embeds what has changed since. Collections of Airbyte's own
connector are a source like any other."""

REEMBED_EXAMPLES = """\
example: a new model without a pause
  destination-milvus reembed --config new.json --from zendesk            may take hours
  (let the next sync into the old collection finish, then pause the connection)
  destination-milvus reembed --config new.json --from zendesk --alias help    takes seconds, and switches
  (the connection gets the new model and the new collection, and goes on)"""


EXIT_CODES = "exit codes: 0 done, 1 failed (a sentence says why), 2 wrong arguments, 130 or 143 stopped"


def add_commands(commands: Commands) -> None:
    """Add them to the console's."""
    backfill = _command(
        commands,
        "backfill",
        "load files that another destination has left, as a sync of their records would",
        BACKFILL,
        BACKFILL_EXAMPLES,
    )
    preview = _command(
        commands,
        "preview",
        "show what records would become and cost; embeds and writes nothing",
        PREVIEW,
        PREVIEW_EXAMPLES,
    )
    for command in (backfill, preview):
        command.add_argument("--config", required=True, help="path of the destination's configuration, a JSON file")
        command.add_argument("--catalog", required=True, help="path of the configured catalog, a JSON file")
    backfill.add_argument(
        "--input",
        required=True,
        action="append",
        metavar="PATTERN",
        help="files, a folder or a pattern (* and **), on this machine or s3://, gs://, abfs://; may be repeated",
    )
    backfill.add_argument(
        "--stream", help="the stream that the files are of; else the folder that is named like one says so"
    )
    backfill.add_argument(
        "--generation",
        type=int,
        metavar="N",
        help="generation_id of the connection that will go on from here, if the catalog's is another connection's",
    )
    backfill.add_argument(
        "--dry-run",
        action="store_true",
        help="read everything, count it and what it would cost; embed and write nothing",
    )
    _add_engine(backfill)
    preview.add_argument(
        "--input", action="append", metavar="PATTERN", help="files as of backfill, in the place of standard input"
    )
    preview.add_argument("--stream", help="the stream that the files are of, as of backfill")
    preview.add_argument("--records", type=int, metavar="N", help="read no more than so many records")
    preview.add_argument(
        "--total", type=int, metavar="N", help="how many records there are in all, where fewer are read: for the costs"
    )
    preview.add_argument("--examples", type=int, default=3, metavar="N", help="records to show of each stream (3)")
    preview.add_argument("--price", type=float, metavar="P", help="of a million tokens")
    preview.add_argument("--tokens-per-minute", type=int, metavar="N", help="the limit of your account, for the time")
    preview.add_argument("--requests-per-minute", type=int, metavar="N", help="the same for requests")
    preview.add_argument(
        "--against",
        action="store_true",
        help="compare with the collection: how many are new, changed, unchanged, and what would be embedded",
    )
    preview.add_argument("--json", action="store_true", help="for programs: one JSON object")
    reembed = _command(
        commands,
        "reembed",
        "write the records of a collection into another one, with the vectors of another model",
        REEMBED,
        REEMBED_EXAMPLES,
    )
    reembed.add_argument("--config", required=True, help="path of the new configuration, a JSON file")
    reembed.add_argument(
        "--from", required=True, dest="source", metavar="COLLECTION", help="the collection to read, on the same Milvus"
    )
    reembed.add_argument("--alias", help="let this alias name the new collection, once it is complete")
    reembed.add_argument(
        "--catalog",
        help="path of the configured catalog: its schemas give indexing.indexed_metadata_fields their types, where the "
        "old collection has no such columns",
    )
    _add_engine(reembed)


def _add_engine(command: ArgumentParser) -> None:
    command.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="local: one process, the default; ray: several workers on a Ray cluster, with a Milvus server",
    )
    command.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="host:port of the head of a Ray cluster, or auto on one of its machines; else one is started here for as "
        "long as the command runs",
    )
    command.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="that embed and write at the same time, each with advanced.concurrency requests under way and its share "
        "of the limits a minute; by default one a CPU of the cluster",
    )


def _command(commands: Commands, name: str, summary: str, description: str, examples: str) -> ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=f"{examples}\n\n{EXIT_CODES}",
        formatter_class=RawDescriptionHelpFormatter,
    )
