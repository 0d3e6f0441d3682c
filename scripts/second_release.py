"""Change a project with a database for its second release: a migration adds a price to its items."""

import difflib
from pathlib import Path

MIGRATION = '''"""price of an item"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("items", sa.Column("price", sa.Integer(), server_default="7", nullable=False))


def downgrade() -> None:
    op.drop_column("items", "price")
'''
CHANGES = (
    ("migrations/versions/0002_price.py", "", MIGRATION),
    (
        "app/tables.py",
        "    quantity: Mapped[int]\n",
        '    quantity: Mapped[int]\n    price: Mapped[int] = mapped_column(server_default="7")\n',
    ),
    ("app/routers/items.py", "    created_at: datetime\n", "    created_at: datetime\n    price: int\n"),
)


def give_items_a_price(project: Path) -> str:
    """Change the project in a folder, and return the changes as a unified diff."""
    diff: list[str] = []
    for name, old, new in CHANGES:
        file = project / name
        before = file.read_text("utf-8") if file.exists() else ""
        assert old in before, f"{name} does not contain {old!r}"
        after = before.replace(old, new, 1)
        file.write_text(after, encoding="utf-8")
        old_name = name if before else "/dev/null"
        diff += difflib.unified_diff(before.splitlines(), after.splitlines(), old_name, name, n=1, lineterm="")
    return "\n".join(diff)
