"""The straight line of a sync: messages become changes, changes batches, batches commits, and then states leave."""
