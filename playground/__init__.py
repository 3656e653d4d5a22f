"""What a collection holds and how it is searched, looked at in a browser. It reads, and writes nothing."""
