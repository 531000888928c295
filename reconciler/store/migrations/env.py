"""Run migrations on the connection, and in the transaction, of whoever upgrades."""

from alembic import context

from reconciler.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the transaction is the caller's
)
context.run_migrations()
