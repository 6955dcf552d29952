"""Runs migrations on the connection that `gustibus.store.schema` hands over."""

from alembic import context

from gustibus.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, compare_type=True
)
context.run_migrations()
