"""From a voice to a performance: what 68 landmarks, the tongue, the head and the eyes do in each frame."""
