"""The networks that teachers and students are made of."""

from soft_students.networks.zoo import (
    NETWORKS,
    Config,
    Factory,
    NetworkEntry,
    Recipe,
    complete_config,
    get_network,
    make_network,
)

__all__ = [
    "NETWORKS",
    "Config",
    "Factory",
    "NetworkEntry",
    "Recipe",
    "complete_config",
    "get_network",
    "make_network",
]
