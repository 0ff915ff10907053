"""The tools that an agent works with, by the names that models call them."""

from __future__ import annotations

from agentos.tools.edit import Edit
from agentos.tools.list import List
from agentos.tools.read import Read
from agentos.tools.search import Search
from agentos.tools.shell import Shell
from agentos.tools.tool import Tool
from agentos.tools.write import Write

TOOLS: dict[str, type[Tool]] = {tool.NAME: tool for tool in (Read, Write, Edit, List, Search, Shell)}
