"""The thin layer on bpy: read properties, call the engine, write the result. Importing this package needs no bpy."""
