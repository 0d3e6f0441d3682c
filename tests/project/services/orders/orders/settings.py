import os
from dataclasses import dataclass, field


@dataclass
class Settings:
    currency: str = field(default_factory=lambda: os.getenv("ORDERS_CURRENCY", "EUR"))
    hosts: list = field(default_factory=lambda: os.environ.get("ORDERS_ALLOWED_HOSTS", "*").split(","))
