"""One file a subject: the types of its bodies, its handlers, and its rows of the route table."""
