"""add an isbn to books"""
from alembic import op
import sqlalchemy as sa

revision = '9be2'
down_revision = '4c1f'


def upgrade():
    op.add_column('book', sa.Column('isbn', sa.String(13), unique=True))
