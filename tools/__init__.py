"""What build.py uses besides itself: packaging, and a Blender to try the package in."""
