"""FreeTalk's engine: a scan and speech in, the motion of every vertex out. It never imports bpy."""
