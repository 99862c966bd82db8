"""What the add-on shows and does in a window: panels, operators, properties, the live preview.

The command line needs none of it.
"""
