"""AgentOS: an agent operating system. Importing it defines names and loads nothing heavy."""

__version__ = "0.1.0"
