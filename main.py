"""Entry point of the image: `python main.py spec | check | write`."""

from destination_milvus.run import run

if __name__ == "__main__":
    run()
