"""What jobs do: one file a kind, each a coroutine that can be run again from its beginning."""
