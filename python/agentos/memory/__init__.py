"""A person's chatbot memories: the archive of their chats, facts with their sources, exports elsewhere.

`reading` looks into the archive, `importing` and `undoing` change it under a kernel ticket, `targets` holds
one module for each format that memories can be exported to.
"""
