"""Meshes as such: read, cleaned, looked at by a rasteriser, and their Laplacian. Nothing here knows a face."""
