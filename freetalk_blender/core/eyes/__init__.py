"""What a scan's eyes are, and how their lids shut and their balls turn."""
