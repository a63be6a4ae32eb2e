from collections.abc import Mapping
from typing import Any

def get_parameters(kwarg: Mapping[str, Any]) -> dict[str, Any]: ...
