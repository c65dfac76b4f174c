import pytest
from running import Node


@pytest.fixture
def node(tmp_path):
    """A real node as `cloakroom serve` starts it, quiet after half a second; stopped, and killed if it must be."""
    node = Node(tmp_path)
    node.start()
    yield node
    node.stop()
