"""Where the 68 landmarks of a face are on any mesh."""
