"""Tools that an agent works with; `toolset` names them all. Importing this loads none of them."""
